//! This file makes a failing script short: it leaves out what the failure does not need, and makes
//! numbers small, as long as a rule is still broken.

use crate::script::{Death, Script, Step};

/// Attempts, at most: each lets a history happen, some of them with a manifest of their own.
const ATTEMPT_COUNT_MAX: u32 = 4_000;

/// The shortest script found that still fails.
pub fn shrink(script: &Script, fails: &mut dyn FnMut(&Script) -> bool) -> Script {
    let mut best = script.clone();
    let mut attempts = ATTEMPT_COUNT_MAX;
    let mut attempt = |candidate: Script, best: &mut Script| {
        let better = attempts > 0 && candidate != *best && fails(&candidate);
        attempts = attempts.saturating_sub(1);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.clone();
        without_parts(&mut best, &mut attempt, |script| &mut script.steps);
        without_parts(&mut best, &mut attempt, |script| &mut script.lives);
        without_units(&mut best, &mut attempt);
        smaller(&mut best, &mut attempt);
        if best == before {
            return best;
        }
    }
}

type Attempt<'a> = dyn FnMut(Script, &mut Script) -> bool + 'a;

/// Leaves out ever smaller parts of a list.
fn without_parts<T>(
    best: &mut Script,
    attempt: &mut Attempt<'_>,
    list: impl Fn(&mut Script) -> &mut Vec<T>,
) {
    let mut size = list(best).len();
    while size > 0 {
        let mut at = 0;
        while at < list(best).len() {
            let mut candidate = best.clone();
            let items = list(&mut candidate);
            let end = items.len().min(at + size);
            items.drain(at..end);
            if !attempt(candidate, best) {
                at += size;
            }
        }
        size /= 2;
    }
}

/// Leaves out units, the two targets apart, and relations.
fn without_units(best: &mut Script, attempt: &mut Attempt<'_>) {
    for at in (2..best.units.len()).rev() {
        let mut candidate = best.clone();
        candidate.units.remove(at);
        attempt(candidate, best);
    }
    for unit in 0..best.units.len() {
        for edge in (0..best.units[unit].edges.len()).rev() {
            let mut candidate = best.clone();
            candidate.units[unit].edges.remove(edge);
            attempt(candidate, best);
        }
    }
}

/// Makes numbers small.
fn smaller(best: &mut Script, attempt: &mut Attempt<'_>) {
    for at in 0..best.steps.len() {
        let step = best.steps[at].clone();
        for simpler in simpler(&step) {
            let mut candidate = best.clone();
            candidate.steps[at] = simpler;
            if attempt(candidate, best) {
                break;
            }
        }
    }
}

fn simpler(step: &Step) -> Vec<Step> {
    match step {
        Step::Wait(us) => [0, us / 2].map(Step::Wait).to_vec(),
        Step::Deaf(us) => vec![Step::Deaf(us / 2)],
        Step::Hold(us) => vec![Step::Hold(us / 2)],
        Step::Slow(count, us) => vec![Step::Slow(count / 2, *us), Step::Slow(*count, us / 2)],
        Step::Orphans(count, after) => {
            vec![Step::Orphans(1, *after), Step::Orphans(count / 2, *after)]
        }
        Step::Die(deaths) => fewer(deaths),
        _ => Vec::new(),
    }
}

/// Fewer deaths, or one of them earlier.
fn fewer(deaths: &[Death]) -> Vec<Step> {
    let mut all = Vec::new();
    for at in 0..deaths.len() {
        let mut rest = deaths.to_vec();
        let death = rest.remove(at);
        if !rest.is_empty() {
            all.push(Step::Die(rest));
        }
        for earlier in earlier(death) {
            let mut changed = deaths.to_vec();
            changed[at] = earlier;
            all.push(Step::Die(changed));
        }
    }
    all
}

fn earlier(death: Death) -> Vec<Death> {
    match death {
        Death::Write(count) => [count / 2, count.saturating_sub(1)]
            .map(Death::Write)
            .to_vec(),
        Death::Call(count) => [count / 2, count.saturating_sub(1)]
            .map(Death::Call)
            .to_vec(),
    }
}
