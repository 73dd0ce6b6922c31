//! This file draws what grows with the number of services, as SVG.

use super::contender::Contender;
use super::document::{Document, number};
use anyhow::{Result, anyhow};
use bench_lives::contender::FLOOR;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (760, 420);

/// A line: who, and what it reaches with how many services.
type Line<'a> = (&'a Contender, Vec<(f64, f64)>);

/// Draws all plots into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn draw(document: &Document<'_>, folder: &Path) -> Result<()> {
    let extent = document.extent;
    let plots = [
        ("boot", "boot, ms", &extent.boots),
        ("resident", "resident memory, KiB", &extent.memories),
    ];
    for (row, title, services) in plots {
        let lines = lines(document, row, services);
        if lines.iter().all(|(_, points)| points.is_empty()) {
            continue;
        }
        let file = folder.join(format!("{row}.svg"));
        chart(&file, title, &lines)
            .map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))?;
    }
    Ok(())
}

fn lines<'a>(document: &'a Document<'_>, row: &str, services: &[usize]) -> Vec<Line<'a>> {
    let line = |contender: &'a Contender| {
        let point = |services: &usize| {
            let row = format!("{row}.{services}");
            let summary = document.samples.summary(&row, contender.name())?;
            Some((*services as f64, summary.median))
        };
        (contender, services.iter().filter_map(point).collect())
    };
    document.contenders.iter().map(line).collect()
}

/// Both axes by powers: a contender that is ten times worse is as far away everywhere.
fn chart(
    file: &Path,
    title: &str,
    lines: &[Line<'_>],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let bounds = |pick: fn(&(f64, f64)) -> f64| {
        let low = points().map(pick).fold(f64::INFINITY, f64::min);
        let high = points().map(pick).fold(0.0, f64::max);
        (low * 0.8)..(high * 1.25)
    };
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .right_y_label_area_size(150)
        .build_cartesian_2d(bounds(|it| it.0).log_scale(), bounds(|it| it.1).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("services")
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    for (index, (contender, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let width = if contender.name() == FLOOR { 1 } else { 2 };
        let style = color.stroke_width(width);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?
            .label(&contender.title)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}
