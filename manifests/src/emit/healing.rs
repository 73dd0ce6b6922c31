//! This file writes down what is done when process 1 dies again and again.

use super::{duration, program};
use crate::model::Healing;

/// What is done when process 1 dies again and again.
/// `manifest` is the number of all that is written down.
pub fn table(healing: Option<&Healing>, manifest: u32) -> String {
    let Some(healing) = healing else {
        return String::from("None");
    };
    let limit = healing.limit.map(|(count, within)| {
        let within = duration(within);
        format!("::init_core::unit::DeathLimit {{ count: {count}, within: {within} }}")
    });
    let steps = healing.steps.iter();
    let steps = steps.map(|step| format!("::init_core::unit::HealingStep::{step:?}"));
    format!(
        "Some(&::init_core::unit::HealingDesc {{ limit: {}, steps: &[{}], other_slot: {}, \
         record: {}, reset_after: {}, recorder: {} }})",
        option(limit),
        steps.collect::<Vec<_>>().join(", "),
        program::c_text(&healing.other_slot),
        option(healing.record.as_deref().map(program::c_text)),
        duration(healing.reset_after),
        option(healing.recorder.map(|bytes| recorder(bytes, manifest))),
    )
}

fn recorder(bytes: u32, manifest: u32) -> String {
    format!("::init_core::unit::RecorderDesc {{ bytes: {bytes}, manifest: {manifest} }}")
}

fn option(text: Option<String>) -> String {
    text.map_or_else(|| String::from("None"), |text| format!("Some({text})"))
}
