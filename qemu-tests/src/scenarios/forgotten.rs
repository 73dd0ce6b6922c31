//! This file makes a program for 64-bit ARM that passes sockets in a circle and forgets them. What
//! is in the circle with them takes an hour to close, and old kernels have that done by whoever
//! closes a Unix socket next, or sends through one: there are more sockets on their way than those
//! kernels like.

/// Where the file is in memory, and the sizes of what stands before the code in it.
const BASE: u32 = 0x0001_0000;
const FILE_HEADER_BYTES: u32 = 64;
const SEGMENT_HEADER_BYTES: u32 = 56;

/// Room behind the file: an address, then the descriptors of the message, which is the last in it.
const MEMORY_BYTES: u32 = 0x8000;

/// What a program's descriptors are numbered by that has the standard ones.
const CONTROL: u32 = 3;
const LISTENER: u32 = 4;
const LINGERING: u32 = 5;
const ENDS: [u32; 2] = [6, 7];

/// As many as one message may carry, and so many messages that more than 16 000 are on their way.
const PASSED_COUNT: u32 = 253;
const MESSAGE_COUNT: u32 = 64;

/// Calls, by their numbers on this processor.
const CLOSE: u32 = 57;
const PPOLL: u32 = 73;
const SOCKET: u32 = 198;
const SOCKETPAIR: u32 = 199;
const LISTEN: u32 = 201;
const CONNECT: u32 = 203;
const GETSOCKNAME: u32 = 204;
const SENDTO: u32 = 206;
const SETSOCKOPT: u32 = 208;
const SHUTDOWN: u32 = 210;
const SENDMSG: u32 = 211;

/// Where the data begins, behind the code, and where each of it is.
const DATA: u32 = BASE + 0x400;
const CONTROL_ADDRESS: u32 = DATA;
const CONTROL_ADDRESS_BYTES: u32 = 25;
const LINGER: u32 = DATA + 32;
const ADDRESS_BYTES_AT: u32 = DATA + 40;
const PART: u32 = DATA + 48;
const MESSAGE: u32 = DATA + 64;
const RIGHTS: u32 = DATA + 120;
const PASSED: u32 = DATA + 136;

/// Instructions, one after the other.
struct Code(Vec<u32>);

impl Code {
    /// Gives a register a value, by halves.
    fn set(&mut self, register: u32, value: u32) {
        let (high, low) = (value >> 16, value & 0xffff);
        self.0.push(0x52a0_0000 | high << 5 | register);
        self.0.push(0x7280_0000 | low << 5 | register);
    }

    /// Makes a call, whose answer is in register 0.
    fn call(&mut self, number: u32, arguments: &[u32]) {
        for (register, argument) in (0..).zip(arguments) {
            self.set(register, *argument);
        }
        self.set(8, number);
        self.0.push(0xd400_0001);
    }

    /// From here to an instruction that came before, in instructions, below zero.
    fn distance(&self, to: usize) -> u32 {
        let count = u32::try_from(self.0.len() - to).unwrap_or(0);
        count.wrapping_neg()
    }
}

/// The program. With an argument it also says at the control socket that it will say no more, so
/// that process 1 closes its connection. Then it waits, in ppoll, until it is killed; its listener
/// ends with it, and the hour.
pub(super) fn program() -> Vec<u8> {
    let mut code = Code(Vec::new());
    // AF_UNIX and SOCK_SEQPACKET; AF_INET and SOCK_STREAM, twice.
    code.call(SOCKET, &[1, 5, 0]);
    code.call(CONNECT, &[CONTROL, CONTROL_ADDRESS, CONTROL_ADDRESS_BYTES]);
    code.call(SOCKET, &[2, 1, 0]);
    code.call(LISTEN, &[LISTENER, 1]);
    code.call(GETSOCKNAME, &[LISTENER, PASSED, ADDRESS_BYTES_AT]);
    code.call(SOCKET, &[2, 1, 0]);
    code.call(CONNECT, &[LINGERING, PASSED, 16]);
    // SOL_SOCKET and SO_LINGER.
    code.call(SETSOCKOPT, &[LINGERING, 1, 13, LINGER, 8]);
    // With MSG_DONTWAIT, until that is refused: nobody reads it.
    let begin = code.0.len();
    code.call(SENDTO, &[LINGERING, BASE, 0x4000, 0x40, 0, 0]);
    let back = code.distance(begin) & 0x3fff;
    code.0.push(0xb6f8_0000 | back << 5); // tbz x0, #63, begin
    // AF_UNIX and SOCK_STREAM.
    code.call(SOCKETPAIR, &[1, 1, 0, PASSED]);
    // The first that is passed, then the same end again and again.
    code.set(9, PASSED);
    code.set(10, LINGERING);
    code.0.push(0xb900_012a); // str w10, [x9]
    code.set(10, ENDS[0]);
    code.set(11, PASSED_COUNT - 1);
    code.0.push(0xb800_4d2a); // str w10, [x9, #4]!
    code.0.push(0x7100_056b); // subs w11, w11, #1
    code.0.push(0x54ff_ffc1); // b.ne to the str
    code.set(11, MESSAGE_COUNT);
    let begin = code.0.len();
    code.call(SENDMSG, &[ENDS[1], MESSAGE, 0]);
    code.0.push(0x7100_056b); // subs w11, w11, #1
    let back = code.distance(begin) & 0x7_ffff;
    code.0.push(0x5400_0001 | back << 5); // b.ne begin
    // The circle's end last: it is not released, so nothing is collected.
    for descriptor in [LINGERING, ENDS[1], ENDS[0]] {
        code.call(CLOSE, &[descriptor]);
    }
    let mut end = Code(Vec::new());
    end.call(SHUTDOWN, &[CONTROL, 2]);
    code.0.push(0xf940_03e0); // ldr x0, [sp]: how many arguments there are
    code.0.push(0xf100_041f); // cmp x0, #1
    let behind = u32::try_from(end.0.len() + 1).unwrap_or(0);
    code.0.push(0x5400_0000 | behind << 5); // b.eq behind the shutdown
    code.0.extend(end.0);
    code.call(PPOLL, &[0, 0, 0, 0]);
    file(&code.0)
}

/// The file's header, that of its one segment, the code and the data.
fn file(code: &[u32]) -> Vec<u8> {
    let entry = BASE + FILE_HEADER_BYTES + SEGMENT_HEADER_BYTES;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable file for 64-bit ARM; behind the flags sizes and counts of headers.
    file.extend([2_u16, 183].iter().flat_map(|it| it.to_le_bytes()));
    file.extend(1_u32.to_le_bytes());
    let places = [entry, FILE_HEADER_BYTES, 0];
    file.extend(places.iter().flat_map(|it| u64::from(*it).to_le_bytes()));
    file.extend(0_u32.to_le_bytes());
    let counts = [64_u16, 56, 1, 64, 0, 0];
    file.extend(counts.iter().flat_map(|it| it.to_le_bytes()));
    // Loaded as a whole, to be read, written and executed.
    file.extend([1_u32, 7].iter().flat_map(|it| it.to_le_bytes()));
    let bytes = PASSED - BASE;
    let segment = [0, BASE, BASE, bytes, MEMORY_BYTES, 0x1000];
    file.extend(segment.iter().flat_map(|it| u64::from(*it).to_le_bytes()));
    file.extend(code.iter().flat_map(|it| it.to_le_bytes()));
    assert!(file.len() <= 0x400, "the code reaches into the data");
    file.resize(0x400, 0);
    file.extend(b"\x01\0/run/sysmaster/control\0\0\0\0\0\0\0\0");
    // Whether it lingers, and for how many seconds; the bytes of an address.
    let words = [1_u32, 3_600, 16, 0];
    file.extend(words.iter().flat_map(|it| it.to_le_bytes()));
    let rights_bytes = 16 + 4 * PASSED_COUNT;
    // One byte; `struct msghdr`; the length of a control message.
    let longs = [
        BASE,
        1,
        0,
        0,
        PART,
        1,
        RIGHTS,
        rights_bytes,
        0,
        rights_bytes,
    ];
    file.extend(longs.iter().flat_map(|it| u64::from(*it).to_le_bytes()));
    // SOL_SOCKET and SCM_RIGHTS.
    file.extend([1_u32, 1].iter().flat_map(|it| it.to_le_bytes()));
    file
}
