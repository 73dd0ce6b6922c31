//! This file writes the programs that services run in tests: a handful of instructions each, as
//! ELF files. All of them leave memory alone but for what they say.

use hal_harmony::abi::number::Number;

/// Where their only segment lies.
const AT: u64 = 0x20_0000;

/// Where programs begin that are functions of the test: there is no code.
const NATIVES_AT: u64 = 0x4000_0000;

/// An ELF file that stands for the function of this number, and its first instruction.
pub fn native_elf(number: u64) -> (u64, &'static [u8]) {
    let at = NATIVES_AT + number * 0x1_0000;
    (at + 120, elf(at, &[0; 4]))
}

/// Instructions in the making.
#[derive(Clone, Debug, Default)]
pub struct Program(Vec<u32>);

impl Program {
    fn then(mut self, word: u32) -> Self {
        self.0.push(word);
        self
    }

    /// Puts a number below 2^32 into a register.
    fn set(self, register: u32, value: u32) -> Self {
        let (low, high) = (value & 0xffff, value >> 16);
        let low = self.then(0xd280_0000 | low << 5 | register);
        low.then(0xf2a0_0000 | high << 5 | register)
    }

    /// Makes a call with these first words.
    pub fn call(self, number: Number, words: &[u32]) -> Self {
        let mut program = self;
        for (register, word) in (0..).zip(words) {
            program = program.set(register, *word);
        }
        let number = u32::try_from(number.get()).expect("a byte");
        program.set(8, number).then(0xd400_0001)
    }

    /// Is busy for so many milliseconds: an instruction takes a microsecond.
    pub fn busy(self, milliseconds: u32) -> Self {
        let rounds = self.set(9, milliseconds * 500);
        // sub x9, x9, #1; cbnz x9, back
        rounds.then(0xd100_0529).then(0xb5ff_ffe9)
    }

    /// Ends with this code.
    pub fn exit(self, code: u32) -> Self {
        self.call(Number::EXIT_GROUP, &[code])
    }

    /// Sleeps for ever, on a notification of its own.
    pub fn sleep(self) -> Self {
        let made = self.call(Number::CREATE_NOTIFC, &[]);
        let waits = made.set(1, 1).set(2, 0).set(8, 131);
        waits.then(0xd400_0001)
    }

    /// Writes where nothing is.
    pub fn fault(self) -> Self {
        self.set(9, 16).then(0xf900_0129)
    }

    /// Takes memory, 64 KiB at a time, until it gets no more.
    pub fn eat(self) -> Self {
        let takes = self.call(Number::CREATE_PMO, &[65_536, 1]);
        // lsr x9, x0, #63; cbz x9, back to the first of the eight instructions
        takes.then(0xd37f_fc09).then(0xb4ff_ff09)
    }

    /// The ELF file.
    pub fn elf(&self) -> &'static [u8] {
        let text: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        elf(AT, &text)
    }
}

/// An ELF file of one segment, which lies there.
fn elf(lies_at: u64, text: &[u8]) -> &'static [u8] {
    let length = u64::try_from(text.len()).expect("few");
    let mut file = vec![0; 120];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &2_u16.to_le_bytes());
    put(18, &183_u16.to_le_bytes());
    put(24, &(lies_at + 120).to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &1_u16.to_le_bytes());
    // One segment: readable and executable, after the headers.
    put(64, &1_u32.to_le_bytes());
    put(68, &5_u32.to_le_bytes());
    put(72, &120_u64.to_le_bytes());
    put(80, &(lies_at + 120).to_le_bytes());
    put(96, &length.to_le_bytes());
    put(104, &length.to_le_bytes());
    file.extend(text);
    Box::leak(file.into_boxed_slice())
}
