//! This file reads letters: good ones, damaged ones, random ones, and frames in pieces.

use super::super::letter::*;
use crate::fixture::Random;
use crate::limits::FRAME_BYTES_MAX;
use std::vec::Vec;

fn piece(content: &[u8]) -> Piece<'_> {
    Piece {
        whole: 1_000,
        begin: 56,
        content,
    }
}

fn letters() -> Vec<Letter<'static>> {
    Vec::from([
        Letter::Ready,
        Letter::Heartbeat,
        Letter::Stopping,
        Letter::Log(b""),
        Letter::Log(b"listening on 1883"),
        Letter::Log(&[0xff; CONTENT_BYTES_MAX]),
        Letter::Request(piece(b"frame")),
        Letter::Fetch(0),
        Letter::Fetch(u16::MAX),
        Letter::GoOn,
        Letter::Stop,
        Letter::Response(piece(&[7; CONTENT_BYTES_MAX])),
        Letter::NotYet,
        Letter::Refused,
    ])
}

#[test]
fn letters_are_read_as_they_were_written() {
    for letter in letters() {
        assert_eq!(Letter::read(&letter.sheet()), Ok(letter));
    }
}

#[test]
fn the_bytes_of_a_letter_are_those_of_the_table() {
    let mut wanted = [0; LETTER_BYTES];
    wanted[..13].copy_from_slice(&[1, 5, 5, 0, 0xe8, 3, 56, 0, b'f', b'r', b'a', b'm', b'e']);
    assert_eq!(Letter::Request(piece(b"frame")).sheet(), wanted);
}

#[test]
fn each_kind_of_damage_is_named() {
    let changed = |letter: Letter<'_>, at: usize, byte: u8| {
        let mut sheet = letter.sheet();
        sheet[at] = byte;
        sheet
    };
    let table = [
        ([0; LETTER_BYTES], Unreadable::Version(0)),
        (changed(Letter::Ready, 0, 2), Unreadable::Version(2)),
        (changed(Letter::Ready, 1, 7), Unreadable::Kind(7)),
        (changed(Letter::Ready, 1, 127), Unreadable::Kind(127)),
        (changed(Letter::Ready, 2, 1), Unreadable::Length(1)),
        (changed(Letter::Log(b"x"), 2, 57), Unreadable::Length(57)),
        (changed(Letter::Ready, 3, 1), Unreadable::Place),
        (changed(Letter::Stop, 4, 1), Unreadable::Place),
        (changed(Letter::Log(b"x"), 6, 1), Unreadable::Place),
        (changed(Letter::Fetch(3), 5, 1), Unreadable::Place),
        (changed(Letter::Log(b"x"), 9, b'y'), Unreadable::Rest),
        (Letter::Request(piece(b"")).sheet(), Unreadable::Length(0)),
    ];
    for (index, (sheet, wanted)) in table.into_iter().enumerate() {
        assert_eq!(Letter::read(&sheet), Err(wanted), "{index}");
    }
    let mut beyond = Letter::Request(piece(&[1; 56])).sheet();
    beyond[6..8].copy_from_slice(&950_u16.to_le_bytes());
    assert_eq!(Letter::read(&beyond), Err(Unreadable::Place));
    beyond[6..8].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(Letter::read(&beyond), Err(Unreadable::Place));
}

#[test]
fn what_is_read_is_what_would_be_written_whatever_the_bytes() {
    let mut random = Random::new(5);
    let letters = letters();
    let mut good = 0;
    for round in 0..200_000_usize {
        let mut sheet = letters[round % letters.len()].sheet();
        for _ in 0..=random.below(3) {
            let at = random.below(12);
            sheet[at] = u8::try_from(random.below(256)).unwrap();
        }
        if let Ok(letter) = Letter::read(&sheet) {
            good += 1;
            assert_eq!(letter.sheet(), sheet, "{letter:?}");
        }
    }
    assert!(good > 10_000, "{good} of 200 000 were letters");
}

#[test]
fn a_frame_goes_in_pieces_of_which_one_is_the_last() {
    for length in [1, 55, 56, 57, 112, 113, FRAME_BYTES_MAX] {
        let whole: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
        let (mut got, mut begin, mut last) = (Vec::new(), 0, 0);
        while let Some(piece) = Piece::of(&whole, begin) {
            let sheet = Letter::Response(piece).sheet();
            assert_eq!(Letter::read(&sheet), Ok(Letter::Response(piece)));
            got.extend(piece.content);
            last += usize::from(piece.is_last());
            begin = piece.end();
        }
        assert_eq!((got, last), (whole, 1), "{length}");
    }
    assert_eq!(Piece::of(b"", 0), None);
    assert_eq!(Piece::of(b"abc", 4), None);
    assert_eq!(Piece::of(&[0; 70_000], 0), None);
}
