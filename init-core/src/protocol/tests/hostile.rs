//! This file attacks the decoders: cut, mutated, foreign and random frames, counted by number.

use super::schema::{requests, responses};
use super::*;
use crate::fixture::Random;

/// Mutations of each message.
const MUTATION_COUNT: u64 = 2_000;

/// Frames of random bytes behind a good header.
const RANDOM_COUNT: u64 = 100_000;

fn problem<T: core::fmt::Debug>(result: Result<T, Malformed>) -> (Problem, u16) {
    let malformed = result.unwrap_err();
    (malformed.problem, malformed.offset)
}

#[test]
fn a_frame_that_is_cut_says_where_it_ends() {
    for request in requests() {
        let whole = frame(&request);
        for end in 0..whole.len() {
            let error = problem(decode::<Request<'_>>(&whole[..end]));
            let expected = match end {
                0..HEADER_BYTES => (Problem::NotOurs, 0),
                _ => (Problem::TooShort, error.1),
            };
            assert_eq!(error, expected, "{request:?} cut at {end}");
            assert!(usize::from(error.1) <= end, "{request:?} cut at {end}");
        }
    }
}

#[test]
fn each_kind_of_damage_is_named_and_located() {
    let mut other_version = frame(&Request::Machine);
    other_version[2] ^= 0xff;
    let mut other_schema = frame(&Request::Machine);
    other_schema[4] ^= 0xff;
    let mut foreign = frame(&Request::Machine);
    foreign[0] = b'G';
    let mut bad_word = frame(&Request::Machine);
    bad_word[HEADER_BYTES] = 99;
    let mut trailing = frame(&Request::Machine);
    trailing.push(0);
    let mut bad_flag = frame(&Request::Change {
        change: Change::Stop,
        name: Text::of(""),
        wait: true,
    });
    bad_flag[HEADER_BYTES + 3] = 2;
    let mut huge_text = frame(&Request::Unit {
        name: Text::of("abc"),
    });
    huge_text.splice(HEADER_BYTES + 1..HEADER_BYTES + 2, [0xff, 0xff, 0x7f]);
    let mut long_number = frame(&Request::Units { from: 0 });
    long_number.splice(HEADER_BYTES + 1.., [0xff; 4]);
    let table = [
        ("other version", other_version, Problem::OtherVersion, 0),
        ("other schema", other_schema, Problem::OtherVersion, 0),
        ("foreign", foreign, Problem::NotOurs, 0),
        ("bad word", bad_word, Problem::BadValue, 9),
        ("trailing", trailing, Problem::TooLong, 9),
        ("bad flag", bad_flag, Problem::BadValue, 12),
        ("huge text", huge_text, Problem::TooShort, 12),
        ("long number", long_number, Problem::BadValue, 12),
        (
            "long frame",
            [0; FRAME_BYTES_MAX + 1].to_vec(),
            Problem::TooLong,
            0,
        ),
        ("empty", Vec::new(), Problem::NotOurs, 0),
    ];
    for (what, bytes, expected, offset) in table {
        assert_eq!(
            problem(decode::<Request<'_>>(&bytes)),
            (expected, offset),
            "{what}"
        );
    }
}

/// Mutates a frame in one to four places.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let byte = u8::try_from(random.below(256)).unwrap();
        match random.below(5) {
            0 => bytes.insert(at, byte),
            1 => bytes.truncate(at.max(1)),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 if at < bytes.len() => _ = bytes.remove(at),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => bytes.push(byte),
        }
    }
}

/// Both must take the same bytes for the same message, or for none.
fn compare<'f, T>(body: &'f [u8], seed: u64)
where
    T: Value<'f> + serde::Deserialize<'f> + PartialEq + core::fmt::Debug,
{
    let (mut wire, mut message) = (Wire::reading(body), T::EMPTY);
    message.pass(&mut wire);
    let ours = match wire.end() {
        (rest, _, None) => Ok((message, rest)),
        (.., Some(problem)) => Err(problem),
    };
    match (ours, postcard::take_from_bytes::<T>(body)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "seed {seed}"),
        (Err(Problem::TooShort), Err(theirs)) => {
            assert_eq!(
                theirs,
                postcard::Error::DeserializeUnexpectedEnd,
                "seed {seed}"
            );
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("seed {seed}: ours {ours:?}, postcard's {theirs:?}: {body:02x?}"),
    }
}

/// Whatever is read lies within the frame and writes back as a message again.
fn check(bytes: &[u8], seed: u64) -> bool {
    let request = decode::<Request<'_>>(bytes);
    if let Ok(Request::Unit { name } | Request::Change { name, .. }) = request {
        let (frame, text) = (bytes.as_ptr_range(), name.0.as_ptr_range());
        assert!(
            frame.start <= text.start && text.end <= frame.end,
            "seed {seed}"
        );
    }
    if let Some(body) = bytes.get(HEADER_BYTES..) {
        compare::<Request<'_>>(body, seed);
        compare::<Response<'_>>(body, seed);
        compare::<UnitRecord<'_>>(body, seed);
    }
    let reader = Reader::new(bytes).map(|mut reader| {
        let mut taken = 0;
        // At least one byte goes with each message, so this ends.
        while !reader.is_at_end() && reader.take::<UnitRecord<'_>>().is_ok() {
            taken += 1;
        }
        taken
    });
    assert!(reader.unwrap_or(0) <= bytes.len(), "seed {seed}");
    let response = decode::<Response<'_>>(bytes);
    for malformed in [request.err(), response.err()].into_iter().flatten() {
        assert!(usize::from(malformed.offset) <= bytes.len(), "seed {seed}");
    }
    request.is_ok() || response.is_ok()
}

#[test]
fn mutated_frames_never_panic_and_never_lead_out_of_the_frame() {
    let frames: Vec<Vec<u8>> = requests()
        .iter()
        .map(frame)
        .chain(responses().iter().map(frame))
        .collect();
    let (mut read, mut seed) = (0_u32, 0);
    for frame in &frames {
        for _ in 0..MUTATION_COUNT {
            seed += 1;
            let (mut bytes, mut random) = (frame.clone(), Random::new(seed));
            mutate(&mut bytes, &mut random);
            read += u32::from(check(&bytes, seed));
        }
    }
    assert!(read > 1_000, "some mutants are still messages: {read}");
}

#[test]
fn random_bytes_behind_a_good_header_never_panic() {
    let header = frame(&Request::Machine)[..HEADER_BYTES].to_vec();
    for seed in 0..RANDOM_COUNT {
        let (mut bytes, mut random) = (header.clone(), Random::new(seed));
        for _ in 0..random.below(40) {
            bytes.push(u8::try_from(random.below(256)).unwrap() >> random.below(8));
        }
        check(&bytes, seed);
    }
}
