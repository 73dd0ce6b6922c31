//! This file draws the dependency graph of a product: as SVG through Graphviz, else as text.

use crate::cli::Graph;
use crate::{house, process, product};
use anyhow::{Context, Result};
use manifests::fields::BUILT_IN;
use manifests::model::{Relation, RelationKind, Unit, UnitKind};
use qemu_tests::progress::say;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Draws into the file that the user chose, or onto the terminal.
///
/// # Errors
/// The manifest has an error, or the file cannot be written.
pub fn draw(choice: &Graph) -> Result<()> {
    let path = house::product(&choice.file)?;
    let board = house::board(&choice.board)?;
    let made = product::compiled(&path, &board, None)?.product;
    let made = made.context("the compiler made no product")?;
    match &choice.out {
        Some(out) if process::find("dot").is_some() => draw_svg(&made.units, out),
        Some(_) => {
            print!("{}", text(&made.units));
            say("Graphviz is not installed (apt-get install graphviz), so the graph is text");
            Ok(())
        }
        None => {
            print!("{}", text(&made.units));
            Ok(())
        }
    }
}

fn draw_svg(units: &[Unit], out: &Path) -> Result<()> {
    let source = out.with_extension("dot");
    std::fs::write(&source, dot(units))
        .with_context(|| format!("cannot write {}", source.display()))?;
    let mut command = Command::new("dot");
    command.arg("-Tsvg").arg("-o").arg(out).arg(&source);
    process::capture(&mut command)?;
    std::fs::remove_file(&source)?;
    say(&format!(
        "{} units are drawn in {}",
        units.len(),
        out.display()
    ));
    Ok(())
}

/// One line a unit and one a dependency, for a terminal.
fn text(units: &[Unit]) -> String {
    let mut text = String::new();
    for unit in units {
        let _ = writeln!(text, "{} {}", unit.kind.word(), unit.name);
        for (word, other) in relations(units, unit) {
            let _ = writeln!(text, "    {word} {other}");
        }
    }
    text
}

/// A unit's relations, in the manifest's words; an order that another relation implies is left out.
fn relations<'a>(units: &'a [Unit], unit: &'a Unit) -> Vec<(&'static str, &'a str)> {
    let shown = unit.relations.iter().filter_map(|relation| {
        let word = match relation.kind {
            RelationKind::Requires => "requires",
            RelationKind::Wants => "wants",
            RelationKind::BindsTo => "binds-to",
            RelationKind::Conflicts => "conflicts",
            RelationKind::After if is_implied(unit, relation) => return None,
            RelationKind::After => "after",
        };
        Some((word, units.get(relation.to)?.name.as_str()))
    });
    shown.collect()
}

/// Whether an order was written nowhere, but comes with another relation.
fn is_implied(unit: &Unit, order: &Relation) -> bool {
    let brings = |other: &Relation| {
        other.kind != RelationKind::After && other.to == order.to && other.span == order.span
    };
    order.span.file == BUILT_IN || unit.relations.iter().any(brings)
}

/// The graph in Graphviz's language; an arrow goes from a unit to one that it needs.
fn dot(units: &[Unit]) -> String {
    let mut text =
        "digraph product {\n  rankdir=LR\n  node [fontname=\"sans-serif\"]\n".to_string();
    for unit in units {
        let shape = match unit.kind {
            UnitKind::Target => "ellipse",
            UnitKind::Service => "box",
            UnitKind::Task => "note",
            UnitKind::Mount => "folder",
        };
        let _ = writeln!(text, "  {:?} [shape={shape}]", unit.name);
        for (word, other) in relations(units, unit) {
            let style = match word {
                "requires" | "binds-to" => "solid",
                "conflicts" => "bold, color=red, dir=none",
                _ => "dashed",
            };
            let arrow = format!("{:?} -> {other:?}", unit.name);
            let _ = writeln!(text, "  {arrow} [style={style}, tooltip={word:?}]");
        }
    }
    text.push_str("}\n");
    text
}
