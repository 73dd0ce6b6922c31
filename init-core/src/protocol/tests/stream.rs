//! This file tests framing on a byte stream: any cutting of the stream gives the same frames.

use super::*;
use crate::fixture::Random;

fn stream_of(frames: &[Vec<u8>]) -> Vec<u8> {
    let bytes = frames
        .iter()
        .flat_map(|frame| [&prefix(frame).unwrap()[..], frame].concat());
    bytes.collect()
}

/// Feeds the stream in pieces of at most `piece()` bytes.
fn assemble(stream: &[u8], mut piece: impl FnMut() -> usize) -> Result<Vec<Vec<u8>>, BadLength> {
    let (mut assembler, mut frames, mut rest) = (Assembler::new(), Vec::new(), stream);
    while !rest.is_empty() {
        let room = assembler.room();
        assert!(!room.is_empty());
        let count = room.len().min(rest.len()).min(piece());
        room[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        frames.extend(assembler.add(count)?.map(<[u8]>::to_vec));
    }
    Ok(frames)
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = super::schema::requests().iter().map(frame).collect();
    frames.push([7; FRAME_BYTES_MAX].to_vec());
    frames.push([7; HEADER_BYTES].to_vec());
    frames
}

#[test]
fn frames_come_out_whole_however_the_stream_is_cut() {
    let (frames, stream) = (frames(), stream_of(&frames()));
    assert_eq!(assemble(&stream, || 1), Ok(frames.clone()));
    assert_eq!(assemble(&stream, || usize::MAX), Ok(frames.clone()));
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let pieces = || 1 + random.below(37);
        assert_eq!(assemble(&stream, pieces), Ok(frames.clone()), "seed {seed}");
    }
}

#[test]
fn a_length_that_no_frame_has_is_refused_at_once() {
    for length in [0, 7, 1_025, 65_535_u16] {
        let stream = [&length.to_le_bytes()[..], &[0; 4]].concat();
        assert_eq!(assemble(&stream, || 1), Err(BadLength(length)));
    }
    assert_eq!(prefix(&[0; 7]), None);
    assert_eq!(prefix(&[0; FRAME_BYTES_MAX + 1]), None);
}

#[test]
fn more_than_there_was_room_for_is_never_taken() {
    let mut assembler = Assembler::default();
    assert_eq!(assembler.room().len(), PREFIX_BYTES);
    assembler.room().copy_from_slice(&8_u16.to_le_bytes());
    assert_eq!(assembler.add(usize::MAX), Ok(None));
    assert_eq!(assembler.room().len(), 8);
    assert_eq!(assembler.add(usize::MAX), Ok(Some(&[0; 8][..])));
}
