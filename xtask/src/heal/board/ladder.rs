//! This file is the ladder's ground on a board, which boots anew for real: its record is on a disk
//! that lasts as long as the virtual machine.

use super::Guest;
use crate::heal::Patient;
use crate::heal::ladder::{Ground, LIMIT};
use anyhow::{Result, bail, ensure};
use heal_campaign::answer;
use heal_campaign::inject::Kind;
use heal_campaign::table::Case;
use heal_campaign::trial;
use std::path::PathBuf;

/// What the kernel says last before it does so.
const ANEW: &str = "reboot: Restarting system";

/// Where the record is in the virtual machine.
const RECORD: &str = "/root/deaths";

impl Ground for Guest {
    fn boot(&mut self, starts: u32, _seed: u64) -> Result<()> {
        // The first boot of a round has a disk that no other wrote to.
        if starts == 0 {
            (self.requests, self.begin) = (0, 0);
            self.start()?;
        }
        Ok(())
    }

    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        Patient::injure(self, kind, seed)
    }

    fn strike(&mut self, kind: Kind, seed: u64) -> Result<Case> {
        let order = format!("strike {} {seed}", kind.name);
        let within = trial::limit(self.product.services);
        let machine = self.machine()?;
        let begin = machine.cursor();
        machine.type_text(&format!("{order}\n"))?;
        // Whoever injures does not outlive the machine.
        let (which, ..) = machine.wait_for_any(&[&format!("{order}: "), ANEW], within)?;
        if which == 1 {
            return Ok(Case::default());
        }
        let end = machine.cursor();
        machine.wait_for(&answer::END.to_string(), within)?;
        let text = machine.text(end);
        let said = text.split(answer::END).next().unwrap_or_default();
        let (case, requests) = answer::read(&format!("{order}: {said}"))?;
        ensure!(begin < end, "nothing was answered");
        self.requests = requests;
        Ok(case)
    }

    fn is_occupied(&mut self) -> Result<bool> {
        match self.ask("left", LIMIT)?.as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => bail!("{other:?} is left"),
        }
    }

    fn end(&mut self, starts: u32) -> Result<()> {
        let machine = self.machine()?;
        // The next boot's words are looked at from here.
        self.begin = machine.cursor();
        self.requests = 0;
        self.is_ready()?;
        let said = self.ask(&format!("record {RECORD}"), LIMIT)?;
        let kept = format!("restarts: {starts} ");
        ensure!(said.starts_with(&kept), "the record says {said:?}");
        Ok(())
    }

    fn requests(&self) -> u64 {
        self.requests
    }

    fn console(&self) -> Result<String> {
        let text = self
            .machine
            .as_ref()
            .map(|machine| machine.text(self.begin));
        Ok(text.unwrap_or_default())
    }

    fn log(&self) -> PathBuf {
        self.product.log.clone()
    }
}
