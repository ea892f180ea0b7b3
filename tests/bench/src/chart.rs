//! A table as groups of bars.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Table;

/// Draws the first columns of a table: a group of bars for each row, a colour for each column.
pub(crate) fn draw(table: &Table, columns: usize, path: &Path) -> Result<()> {
    bars(table, columns, path).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn bars(table: &Table, columns: usize, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let group = columns + 1;
    let height = u32::try_from(90 + table.rows.len() * (columns * 14 + 12))?;
    let highest = table
        .rows
        .iter()
        .flat_map(|(_, figures)| figures.iter().take(columns).flatten())
        .fold(0.0_f64, |a, b| a.max(*b));
    let area = SVGBackend::new(path, (900, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let lines = i32::try_from(table.rows.len() * group)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(&table.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..highest * 1.12, (0..lines).into_segmented())?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().x_labels(6).x_max_light_lines(0).draw()?;
    for column in 0..columns {
        let colour = COLOURS[column % COLOURS.len()];
        let mut series = Vec::new();
        for (row, (_, figures)) in table.rows.iter().enumerate() {
            let Some(Some(figure)) = figures.get(column) else { continue };
            let line = lines - 1 - i32::try_from(row * group + column)?;
            let (low, high) = (SegmentValue::Exact(line), SegmentValue::Exact(line + 1));
            series.push(Rectangle::new([(0.0, low), (*figure, high)], colour.filled()));
            let label = Text::new(format!("{figure:.0}"), (*figure, SegmentValue::CenterOf(line)), ("sans-serif", 10));
            chart.plotting_area().draw(&label)?;
        }
        let legend = move |(x, y): (i32, i32)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled());
        chart.draw_series(series)?.label(&table.columns[column]).legend(legend);
    }
    for (row, (name, _)) in table.rows.iter().enumerate() {
        let line = lines - 1 - i32::try_from(row * group + columns / 2)?;
        let (_, y) = chart.backend_coord(&(0.0, SegmentValue::CenterOf(line)));
        area.draw_text(name, &("sans-serif", 12).into_text_style(&area), (10, y - 6))?;
    }
    if columns > 1 {
        let position = SeriesLabelPosition::LowerRight;
        chart.configure_series_labels().position(position).background_style(WHITE).border_style(BLACK).draw()?;
    }
    area.present()?;
    Ok(())
}

const LABELS: u32 = 230;

const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(174, 199, 232),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(255, 187, 120),
    RGBColor(127, 127, 127),
];
