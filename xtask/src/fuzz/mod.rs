//! This file is `cargo xtask fuzz`: damaged input for everything that reads what others wrote.
//!
//! Each case is made from its number alone, so the same numbers give the same cases on every
//! machine. A case that panics, or breaks its decoder's promise, ends the run: its bytes and the
//! command that repeats it are printed. The decoders' own tests know them better; this tries more.

pub(crate) mod cases;
mod decoders;
mod recordings;
mod regions;

use crate::cli::Fuzz;
use anyhow::{Context, Result, bail};
use decoders::{DECODERS, Decoder};
use heal_campaign::random::Random;
use std::panic::catch_unwind;
use std::time::Instant;

/// Tries the decoders that were chosen, with as many cases as were asked for.
///
/// # Errors
/// A decoder panicked or broke its promise.
pub fn run(fuzz: &Fuzz) -> Result<()> {
    let wanted = |decoder: &&Decoder| fuzz.decoder.as_ref().is_none_or(|d| d == decoder.name);
    let chosen: Vec<&Decoder> = DECODERS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = DECODERS.iter().map(|decoder| decoder.name).collect();
        bail!(
            "there is no such decoder; choose one of {}",
            names.join(", ")
        );
    }
    if let Some(input) = &fuzz.input {
        let [decoder] = chosen.as_slice() else {
            bail!("say with --decoder which one is to read the input");
        };
        return one(decoder, &unhex(input)?);
    }
    for decoder in chosen {
        many(decoder, fuzz.seed, fuzz.cases / decoder.cost)?;
    }
    Ok(())
}

fn many(decoder: &Decoder, first: u64, count: u64) -> Result<()> {
    let begun = Instant::now();
    let corpus = (decoder.corpus)()?;
    let mut accepted = 0_u64;
    for seed in first..first.saturating_add(count) {
        let bytes = cases::case(&corpus, &mut Random::new(seed));
        match attempt(decoder, &bytes) {
            Ok(good) => accepted += u64::from(good),
            Err(why) => bail!(
                "{} failed on case {seed}: {why}\nits input has {} bytes:\n{}\nrepeat it with\n  \
                 cargo xtask fuzz --decoder {} --input {}",
                decoder.what,
                bytes.len(),
                hex(&bytes),
                decoder.name,
                hex(&bytes)
            ),
        }
    }
    println!(
        "{:<10} {count:>8} cases from {first}, {accepted} of them read as good: {} ({:.1} s)",
        decoder.name,
        decoder.what,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn one(decoder: &Decoder, bytes: &[u8]) -> Result<()> {
    println!(
        "{}: {} bytes: {}",
        decoder.name,
        bytes.len(),
        bytes.escape_ascii()
    );
    match attempt(decoder, bytes) {
        Ok(true) => println!("read as good"),
        Ok(false) => println!("refused"),
        Err(why) => bail!("{} failed: {why}", decoder.what),
    }
    Ok(())
}

/// Whether the decoder takes the input; the error is what it did instead of deciding.
fn attempt(decoder: &Decoder, bytes: &[u8]) -> Result<bool, String> {
    match catch_unwind(|| (decoder.read)(bytes)) {
        Ok(read) => read,
        // The panic's own message, with its place, is on stderr already.
        Err(_) => Err("it panicked, see above".to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs
        .map(|pair| byte(pair).filter(|_| pair.len() == 2))
        .collect::<Option<_>>()
        .context("the input is given as pairs of hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoder that cannot stand a byte.
    const FRAGILE: Decoder = Decoder {
        name: "fragile",
        what: "a decoder with a fault",
        cost: 1,
        corpus: || Ok(vec![b"good".to_vec()]),
        read: |bytes| match bytes.contains(&0xff) {
            true => Err("a byte too many".to_string()),
            false => Ok(bytes == b"good"),
        },
    };

    #[test]
    fn a_fault_is_found_and_its_input_repeats_it() {
        let said = many(&FRAGILE, 1, 10_000)
            .expect_err("0xff is found")
            .to_string();
        let input = said.rsplit(' ').next().expect("the last word");
        assert!(said.contains("--decoder fragile --input"), "{said}");
        let bytes = unhex(input).expect("hexadecimal");
        assert!(one(&FRAGILE, &bytes).is_err(), "{said}");
    }

    #[test]
    fn every_decoder_reads_its_own_corpus() {
        for decoder in DECODERS {
            let corpus = (decoder.corpus)().expect(decoder.name);
            let good = |bytes: &Vec<u8>| attempt(decoder, bytes) == Ok(true);
            assert!(corpus.iter().any(good), "{} refuses all", decoder.name);
        }
    }

    #[test]
    fn input_that_is_not_hexadecimal_is_refused() {
        assert_eq!(unhex("00ff").expect("two bytes"), [0, 0xff]);
        assert!(unhex("0").is_err());
        assert!(unhex("zz").is_err());
    }
}
