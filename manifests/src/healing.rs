//! This file reads `[healing]`: what is done when process 1 dies again and again.

use crate::board::{Abi, Board};
use crate::diagnostic::{Diagnostic, Id, did_you_mean};
use crate::fields::{Fields, Located};
use crate::model::{Healing, HealingStep};
use crate::schema::Section;
use crate::sections::Sections;

const STEPS: [(&str, HealingStep); 4] = [
    ("rescue", HealingStep::Rescue),
    ("reboot", HealingStep::Reboot),
    ("other-slot", HealingStep::OtherSlot),
    ("power-off", HealingStep::PowerOff),
];

/// Reads the section; `None` if it asks for nothing but what is usual.
pub fn read(
    sections: &Sections,
    board: &Board,
    has_rescue: bool,
    recorder: Option<u32>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Healing> {
    let fields = sections.single(Section::Healing);
    problems.extend(without_linux(fields, board));
    let within = fields.duration("within")?;
    let limit = fields.number("deaths").and_then(|count| {
        let count = u16::try_from(count).ok()?;
        Some((count, within))
    });
    let words = fields.texts("then");
    let mut steps = Vec::new();
    for word in &words {
        match STEPS.iter().find(|(name, _)| *name == word.value) {
            Some((_, step)) => steps.push(*step),
            None => problems.push(unknown(word)),
        }
    }
    let problem = misplaced(&words, &steps)
        .or_else(|| without_rescue(fields, &words, has_rescue))
        .or_else(|| slot_unknown(fields, &steps))
        .or_else(|| part_of_a_second(fields, within));
    problems.extend(problem);
    let text = |key| fields.text(key).map(|text| text.value);
    let record = text("record");
    let is_usual = limit.is_none() && record.is_none() && steps == [HealingStep::Reboot];
    if is_usual && recorder.is_none() {
        return None;
    }
    Some(Healing {
        limit,
        steps,
        other_slot: text("other-slot").unwrap_or_default(),
        record,
        reset_after: fields.duration("reset-after")?,
        recorder,
    })
}

/// The keys of the section.
const KEYS: [&str; 6] = [
    "deaths",
    "within",
    "then",
    "other-slot",
    "record",
    "reset-after",
];

/// What is done elsewhere is fixed.
fn without_linux(fields: &Fields, board: &Board) -> Option<Diagnostic> {
    if board.abi == Abi::Linux {
        return None;
    }
    let key = KEYS.iter().find(|key| fields.written(key).is_some())?;
    let message = "on this board nothing of `[healing]` can be chosen";
    let problem = Diagnostic::new(Id::WrongBoard, fields.span_of(key), message);
    Some(problem.help("leave the section out"))
}

fn unknown(word: &Located<String>) -> Diagnostic {
    let names = STEPS.iter().map(|(name, _)| *name);
    let help = did_you_mean(&word.value, names).unwrap_or_else(|| {
        String::from("steps are \"rescue\", \"reboot\", \"other-slot\" and \"power-off\"")
    });
    let message = format!("there is no step `{}`", word.value);
    Diagnostic::new(Id::UnknownWord, word.span, message).help(help)
}

/// Whatever starts the machine anew or switches it off leaves nothing for a step after it.
fn misplaced(words: &[Located<String>], steps: &[HealingStep]) -> Option<Diagnostic> {
    let mut each = words.iter().zip(steps).skip(1);
    let (word, _) = each.find(|(_, step)| **step == HealingStep::Rescue)?;
    let message = "`rescue` is only ever the first step";
    let problem = Diagnostic::new(Id::Contradiction, word.span, message);
    Some(problem.help("after a reboot the steps begin with the first one: put `rescue` in front"))
}

fn without_rescue(
    fields: &Fields,
    words: &[Located<String>],
    has_rescue: bool,
) -> Option<Diagnostic> {
    let word = words.iter().find(|word| word.value == "rescue")?;
    if has_rescue || fields.lacks("then") {
        return None;
    }
    let message = "the step `rescue` needs a rescue target";
    let problem = Diagnostic::new(Id::Contradiction, word.span, message);
    Some(problem.help("write rescue-target = \"..\" into [product]"))
}

fn slot_unknown(fields: &Fields, steps: &[HealingStep]) -> Option<Diagnostic> {
    let is_asked = steps.contains(&HealingStep::OtherSlot);
    if is_asked != fields.lacks("other-slot") {
        return None;
    }
    let (key, message, help) = if is_asked {
        (
            "then",
            "the step `other-slot` needs the key `other-slot`",
            "write the word that the board's reboot-mode driver knows: other-slot = \"recovery\"",
        )
    } else {
        (
            "other-slot",
            "`other-slot` is never used: no step of `then` is \"other-slot\"",
            "add it: then = [\"reboot\", \"other-slot\"]",
        )
    };
    let span = fields.span_of(key);
    Some(Diagnostic::new(Id::Contradiction, span, message).help(help))
}

fn part_of_a_second(fields: &Fields, within: u64) -> Option<Diagnostic> {
    if within >= 1_000_000 && within.is_multiple_of(1_000_000) {
        return None;
    }
    let message = "deaths are counted in whole seconds, at least one";
    let problem = Diagnostic::new(Id::OutOfRange, fields.span_of("within"), message);
    Some(problem.help("write within = \"1min\", for one"))
}
