//! This file is the ladder's ground in namespaces.

use super::{Ground, LIMIT};
use crate::heal::machine::{self, Outside, Product};
use anyhow::{Context, Result, ensure};
use heal_campaign::inject::Kind;
use heal_campaign::random::Random;
use heal_campaign::table::Case;
use heal_campaign::trial::Trial;
use std::path::{Path, PathBuf};

/// A process 1 in namespaces.
pub struct Here<'p> {
    product: &'p Product,
    split: bool,
    running: Option<(Trial, Outside)>,
    /// Where this boot's words begin in the console.
    begin: usize,
}

impl<'p> Here<'p> {
    /// Nothing runs yet.
    pub fn new(product: &'p Product, split: bool) -> Self {
        Self {
            product,
            split,
            running: None,
            begin: 0,
        }
    }

    fn trial(&mut self) -> Result<&mut Trial> {
        let running = self.running.as_mut();
        running.map(|(trial, _)| trial).context("nothing runs")
    }
}

impl Ground for Here<'_> {
    fn boot(&mut self, starts: u32, seed: u64) -> Result<()> {
        self.running = None;
        let record = self.product.record();
        if starts == 0 && record.exists() {
            std::fs::remove_file(&record)?;
        }
        self.begin = text(&self.product.console())?.len();
        let (machine, outside) = machine::boot(self.product)?;
        let trial = Trial::begin(machine, self.product.services(), seed, self.split);
        self.running = Some((trial.with_events(), outside));
        Ok(())
    }

    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        self.trial()?.injure(kind, &mut Random::new(seed))
    }

    fn strike(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        self.trial()?.strike_alone(kind, &mut Random::new(seed))
    }

    fn is_occupied(&mut self) -> Result<bool> {
        self.trial()?.is_occupied()
    }

    fn end(&mut self, starts: u32) -> Result<()> {
        let (_, outside) = self.running.as_mut().context("nothing runs")?;
        let anew = outside.end(LIMIT)?;
        ensure!(anew, "the machine ended, but not to start anew");
        let text = std::fs::read_to_string(self.product.record())?;
        let kept = format!("restarts: {starts} ");
        ensure!(text.starts_with(&kept), "the record says {text:?}");
        Ok(())
    }

    fn requests(&self) -> u64 {
        let running = self.running.as_ref();
        running.map_or(0, |(trial, _)| trial.requests())
    }

    fn console(&self) -> Result<String> {
        let all = text(&self.product.console())?;
        Ok(all.get(self.begin..).unwrap_or_default().to_string())
    }

    fn log(&self) -> PathBuf {
        self.product.console()
    }
}

fn text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path);
    let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
