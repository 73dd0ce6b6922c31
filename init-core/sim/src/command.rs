//! This file is the command line of a simulation: it performs histories on whatever machine a
//! program has for them, and says what came of them.

use crate::campaign::{self, Failure, Make};
use crate::run::Broken;
use crate::script::Script;
use crate::{generate, keep_panics};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What is asked for.
struct Wish {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    replay: Option<String>,
    shrinks: bool,
    /// Seconds that one history may take.
    limit: u64,
}

/// Does what the program's arguments ask for; so many histories where they do not say.
pub fn run(seeds: u64, make: &Make) -> ExitCode {
    keep_panics();
    match wish(seeds).and_then(|wish| perform(&wish, make)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            eprintln!("sim: {words}");
            ExitCode::from(2)
        }
    }
}

fn wish(seeds: u64) -> Result<Wish, String> {
    let mut wish = Wish {
        seeds,
        from: 1,
        seed: None,
        replay: None,
        shrinks: true,
        limit: 60,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--seeds" => wish.seeds = number(value()?)?,
            "--from" => wish.from = number(value()?)?,
            "--seed" => wish.seed = Some(number(value()?)?),
            "--replay" => wish.replay = Some(value()?),
            "--limit" => wish.limit = number(value()?)?,
            "--no-shrinking" => wish.shrinks = false,
            _ => return Err(format!("{argument:?} is not understood")),
        }
    }
    Ok(wish)
}

fn perform(wish: &Wish, make: &Make) -> Result<bool, String> {
    if let Some(file) = &wish.replay {
        let text = std::fs::read_to_string(file).map_err(|why| format!("{file}: {why}"))?;
        let script: Script = text.parse().map_err(|why| format!("{file}: {why}"))?;
        return Ok(one(&script, make));
    }
    if let Some(seed) = wish.seed {
        let script = generate::script(seed);
        println!("# seed {seed}\n{script}");
        return Ok(one(&script, make));
    }
    let begun = Instant::now();
    watch(Duration::from_secs(wish.limit));
    let outcome = campaign::run(wish.from, wish.seeds, make);
    let tally = outcome.tally;
    println!(
        "{} histories from seed {}: {} turns, {} requests, {} deaths of process 1, {} compared \
         with the same without deaths ({:.1} s)",
        tally.histories,
        wish.from,
        tally.turns,
        tally.requests,
        tally.deaths,
        tally.compared,
        begun.elapsed().as_secs_f64()
    );
    let Some(Failure { seed, broken }) = outcome.failure else {
        return Ok(true);
    };
    println!("seed {seed} breaks a rule: {}", broken.rule);
    if wish.shrinks {
        let (short, broken) = campaign::shorten(&generate::script(seed), make());
        println!("# seed {seed}, shortened\n{short}");
        broken.as_ref().map(tell).unwrap_or_default();
    }
    Ok(false)
}

/// Ends the program when a history does not come to its end: an endless loop cannot be interrupted.
fn watch(limit: Duration) {
    std::thread::spawn(move || {
        let mut before = Vec::new();
        loop {
            std::thread::sleep(limit);
            let now = campaign::present();
            if let Some(seed) = now.iter().filter(|seed| before.contains(*seed)).min() {
                println!("seed {seed} breaks a rule: it does not come to its end");
                std::process::exit(1);
            }
            before = now;
        }
    });
}

fn one(script: &Script, make: &Make) -> bool {
    match make()(script) {
        Ok(tally) => {
            println!("no rule is broken: {tally:?}");
            true
        }
        Err(broken) => {
            tell(&broken);
            false
        }
    }
}

fn tell(broken: &Broken) {
    print!("{}", broken.console);
    println!("broken at {} us: {}", broken.at, broken.rule);
}
