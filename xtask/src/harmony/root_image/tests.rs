//! This file shows that nothing which the kernel would choke on becomes a root image.

use super::*;

/// A linked program in the making: 64-bit ARM, three segments as `link.x` makes them.
struct Program {
    entry: u64,
    machine: u16,
    kind: u16,
    /// Type, flags, offset, address, bytes in the file, bytes in memory.
    headers: Vec<(u32, u32, u64, u64, u64, u64)>,
}

impl Program {
    fn good() -> Self {
        Self {
            entry: 0x40_00e8,
            machine: 183,
            kind: 2,
            headers: vec![
                (1, 5, 0, 0x40_0000, 0x1234, 0x1234),
                (1, 4, 0x2000, 0x40_2000, 0x100, 0x100),
                (1, 6, 0x3000, 0x40_3000, 0x80, 0x2080),
                // The stack's permissions: nothing to load.
                (0x6474_e551, 6, 0, 0, 0, 0),
            ],
        }
    }

    fn with(mut self, index: usize, header: (u32, u32, u64, u64, u64, u64)) -> Self {
        self.headers[index] = header;
        self
    }

    fn elf(&self) -> Vec<u8> {
        let mut file = vec![0xcc; 0x4000];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0; 64]);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &self.kind.to_le_bytes());
        put(18, &self.machine.to_le_bytes());
        put(20, &1_u32.to_le_bytes());
        put(24, &self.entry.to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(52, &64_u16.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(
            56,
            &u16::try_from(self.headers.len())
                .expect("few")
                .to_le_bytes(),
        );
        for (index, (kind, flags, offset, address, in_file, in_memory)) in
            self.headers.iter().enumerate()
        {
            let at = 64 + index * 56;
            put(at, &kind.to_le_bytes());
            put(at + 4, &flags.to_le_bytes());
            let numbers = [offset, address, address, in_file, in_memory, &0x1000];
            for (place, number) in numbers.iter().enumerate() {
                put(at + 8 + place * 8, &number.to_le_bytes());
            }
        }
        file
    }
}

#[test]
fn a_program_of_three_segments_becomes_an_image_as_the_kernel_reads_it() {
    let elf = Program::good().elf();
    let (image, read) = write(&elf).expect("an image");
    let big: Vec<u64> = (0..6)
        .map(|index| u64::from_be_bytes(eight(&image, index * 8)))
        .collect();
    assert_eq!(big, [0x6000, 0x40_00e8, 0, 56, 3, 0x40_0030]);
    let little = |at| u64::from_le_bytes(eight(&image, at));
    // The third program header: type and flags, offset, address twice, lengths, alignment.
    let third: Vec<u64> = (0..7)
        .map(|index| little(48 + 2 * 56 + index * 8))
        .collect();
    let wanted = [
        6 << 32 | 1,
        0x3000,
        0x40_3000,
        0x40_3000,
        0x3000,
        0x3000,
        0x1000,
    ];
    assert_eq!(third, wanted);
    assert_eq!(read.segments.len(), 3);
    assert_eq!(image.len(), 0x6000);
    assert_eq!(image[216..0x1234], elf[216..0x1234]);
    // Zeroed variables are in the image, whatever follows in the program's file.
    assert_eq!(image[0x3000..0x3080], elf[0x3000..0x3080]);
    assert!(image[0x3080..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_program_whose_headers_are_not_loaded_gets_a_page_for_them() {
    let program = Program::good().with(0, (1, 5, 0x1000, 0x40_0000, 0x234, 0x234));
    let (image, read) = write(&program.elf()).expect("an image");
    assert_eq!(read.segments[0].offset, 0x1000);
    assert_eq!(read.headers, 0);
    assert_eq!(image.len(), 0x6000);
}

#[track_caller]
fn refuses(program: &Program, words: &str) {
    let said = write(&program.elf()).expect_err(words).to_string();
    assert!(said.contains(words), "wanted {words:?}, got {said:?}");
}

#[test]
fn no_program_for_something_else_becomes_an_image() {
    let good = Program::good;
    let with = |machine, kind, entry| Program {
        machine,
        kind,
        entry,
        ..good()
    };
    refuses(&with(62, 2, 0x40_00e8), "not for 64-bit ARM");
    refuses(&with(183, 3, 0x40_00e8), "not linked for a fixed address");
    refuses(&with(183, 2, 0x40_2000), "in no executable segment");
    refuses(&with(183, 2, 0x40_00ea), "in no executable segment");
    let fourth = |kind| good().with(3, (kind, 4, 0, 0x50_0000, 8, 8));
    refuses(&fourth(3), "an interpreter");
    refuses(&fourth(2), "relocations");
    refuses(&fourth(7), "thread-local variables");
    let cut = &good().elf()[..40];
    assert!(matches!(write(cut), Err(Refusal::NotElf(_))));
}

#[test]
fn no_program_whose_segments_the_kernel_cannot_map_becomes_an_image() {
    let fourth = Program::good().with(3, (1, 4, 0, 0x50_0000, 8, 8));
    refuses(&fourth, "4 segments; the header has room for 1 to 3");
    let mut none = Program::good();
    none.headers.clear();
    refuses(&none, "0 segments");
    let second = |flags, offset, address, bytes| {
        Program::good().with(1, (1, flags, offset, address, bytes, bytes))
    };
    let unaligned = "address 0x402010 is not of whole";
    refuses(&second(4, 0x2010, 0x40_2010, 8), unaligned);
    refuses(&second(4, 0x2000, 0x40_1000, 8), "segments 0 and 1 overlap");
    refuses(
        &second(7, 0x2000, 0x40_2000, 8),
        "never writable and executable",
    );
    refuses(&second(2, 0x2000, 0x40_2000, 8), "readable");
    refuses(&second(4, 0x3ff0, 0x40_2000, 64), "beyond the image");
    refuses(&second(4, 0x2000, 1 << 47, 8), "addresses are from");
    refuses(&second(4, 0x2000, 0, 8), "addresses are from");
}

#[test]
fn a_section_where_the_header_goes_is_named() {
    // One loaded section at offset 0x80, its name, and the table of both behind the program.
    let mut file = Program::good().elf();
    let names = b"\0.needed\0.names\0";
    let table = u64::try_from(file.len()).expect("short");
    file.extend([0; 64]);
    let sections = [
        (1_u32, 1_u32, 2_u64, 0x80_u64, 16_u64),
        (
            9,
            3,
            0,
            table + 3 * 64,
            u64::try_from(names.len()).expect("short"),
        ),
    ];
    for (name, kind, flags, offset, bytes) in sections {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[8..16].copy_from_slice(&flags.to_le_bytes());
        header[24..32].copy_from_slice(&offset.to_le_bytes());
        header[32..40].copy_from_slice(&bytes.to_le_bytes());
        file.extend(header);
    }
    file.extend(names);
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[58..60].copy_from_slice(&64_u16.to_le_bytes());
    file[60..62].copy_from_slice(&3_u16.to_le_bytes());
    file[62..64].copy_from_slice(&2_u16.to_le_bytes());
    let refused = write(&file).expect_err("its header is in use");
    assert_eq!(refused, Refusal::HeaderInUse("section .needed".to_string()));
}

/// A good image with a number of its header or of a program header changed.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let (mut image, _) = write(&Program::good().elf()).expect("an image");
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

#[track_caller]
fn misread(at: usize, bytes: [u8; 8], words: &str) {
    let said = read(&changed(at, &bytes)).expect_err(words).to_string();
    assert!(said.contains(words), "wanted {words:?}, got {said:?}");
}

#[test]
fn an_image_whose_header_says_something_else_is_refused() {
    let big = u64::to_be_bytes;
    misread(0, big(5), "says 5 bytes of memory, its segments have 24576");
    misread(8, big(0x10), "the entry 0x10 is in no");
    misread(24, big(64), "program headers of 64 bytes");
    misread(32, big(4), "4 segments");
    misread(32, big(0), "0 segments");
}

/// Where a field of the third program header lies.
fn third(field: usize) -> usize {
    48 + 2 * 56 + field
}

#[test]
fn an_image_whose_segments_are_otherwise_is_refused() {
    let little = u64::to_le_bytes;
    misread(third(0), little(6 << 32 | 7), "segment 2 is of type 7");
    misread(third(0), little(7 << 32 | 1), "segment 2 has flags 7");
    let offset = "offset 0x3008 is not of whole pages";
    misread(third(8), little(0x3008), offset);
    misread(third(8), little(0x5000), "segment 2 reaches beyond");
    misread(third(16), little(0x40_3008), "address 0x403008 is not");
    misread(third(16), little(0x40_0000), "segments 1 and 2 overlap");
    misread(third(16), little(0x5000_0000_0000), "addresses are from");
    let less = "4096 bytes in the file, 12288 in memory";
    misread(third(32), little(0x1000), less);
    let more = "12288 bytes in the file, 4096 in memory";
    misread(third(40), little(0x1000), more);
    let length = little(0x1010);
    let unaligned = changed(third(32), &[length, length].concat());
    let refused = read(&unaligned).expect_err("no whole pages");
    assert!(matches!(refused, Refusal::Unaligned { what: "length", .. }));
}

#[test]
fn an_image_that_is_cut_is_refused() {
    let (image, _) = write(&Program::good().elf()).expect("an image");
    assert_eq!(read(&image[..200]), Err(Refusal::Length(200)));
    assert_eq!(read(&image[..0x5800]), Err(Refusal::Length(0x5800)));
    assert_eq!(
        read(&image[..0x5000]),
        Err(Refusal::BeyondFile { index: 2 })
    );
}
