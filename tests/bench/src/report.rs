//! The results, as Markdown and as charts.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use scopegate_testbed::page::{self, shown};

use crate::chart;

/// A page of figures.
#[derive(Debug, Default)]
pub(crate) struct Report {
    parts: Vec<Part>,
    targets: Vec<Target>,
}

#[derive(Debug)]
enum Part {
    Table(Table),
    Note(String),
}

/// Figures in rows and columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    note: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
    chart: Option<(&'static str, usize)>,
    decimals: usize,
}

/// A ratio that was to be reached.
#[derive(Debug)]
pub(crate) struct Target {
    what: String,
    reached: f64,
    wanted: f64,
    /// Whether less is better.
    is_limit: bool,
}

impl Target {
    pub(crate) fn new(what: &str, reached: f64, wanted: f64) -> Self {
        Self { what: what.to_owned(), reached, wanted, is_limit: false }
    }

    /// A figure that was to stay below.
    pub(crate) fn limit(what: &str, reached: f64, wanted: f64) -> Self {
        Self { is_limit: true, ..Self::new(what, reached, wanted) }
    }

    fn is_met(&self) -> bool {
        if self.is_limit { self.reached <= self.wanted } else { self.reached >= self.wanted }
    }
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, columns: Vec<String>) -> Self {
        let (title, note) = (title.to_owned(), note.to_owned());
        Self { title, note, columns, rows: Vec::new(), chart: None, decimals: 0 }
    }

    /// A row; `None` where there is nothing to measure.
    pub(crate) fn row(&mut self, name: &str, figures: Vec<Option<f64>>) {
        self.rows.push((name.to_owned(), figures));
    }

    /// Draws its first columns, so many, into a file of this name, too.
    pub(crate) fn chart(&mut self, name: &'static str, columns: usize) {
        self.chart = Some((name, columns));
    }

    pub(crate) fn decimals(&mut self, decimals: usize) {
        self.decimals = decimals;
    }

    fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n{}", self.title, self.note, self.grid());
        if let Some((chart, _)) = self.chart {
            let _ = write!(text, "\n![{}]({chart}.svg)\n", self.title);
        }
        text
    }

    /// The figures alone.
    fn grid(&self) -> String {
        let mut text = "| |".to_owned();
        for column in &self.columns {
            let _ = write!(text, " {column} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"--:|".repeat(self.columns.len()));
        for (name, figures) in &self.rows {
            let _ = write!(text, "\n| {name} |");
            for figure in figures {
                let figure = figure.map_or_else(|| "–".to_owned(), |figure| shown(figure, self.decimals));
                let _ = write!(text, " {figure} |");
            }
        }
        text.push('\n');
        text
    }
}

impl Report {
    pub(crate) fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    pub(crate) fn note(&mut self, note: String) {
        self.parts.push(Part::Note(note));
    }

    pub(crate) fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// The whole page.
    pub(crate) fn markdown(&self, head: &str) -> String {
        let mut text = format!("{head}\n");
        if !self.targets.is_empty() {
            text.push_str("## Targets\n\n| | reached | wanted | |\n|---|--:|--:|---|\n");
            for target in &self.targets {
                let sign = if target.is_limit { "≤" } else { "≥" };
                let met = if target.is_met() { "" } else { "**missed**" };
                let _ =
                    writeln!(text, "| {} | {:.2} | {sign} {} | {met} |", target.what, target.reached, target.wanted);
            }
            text.push('\n');
        }
        for part in &self.parts {
            match part {
                Part::Table(table) => text.push_str(&table.markdown()),
                Part::Note(note) => {
                    let _ = writeln!(text, "{note}");
                }
            }
            text.push('\n');
        }
        text
    }

    /// Puts the table of this title into a document, between two marks.
    pub(crate) fn quote(&self, title: &str, document: &Path) -> Result<()> {
        let is_it = |part: &Part| matches!(part, Part::Table(table) if table.title == title);
        let Some(Part::Table(table)) = self.parts.iter().find(|part| is_it(part)) else { return Ok(()) };
        page::insert(document, "bench", &table.grid())
    }

    /// Draws the charts into a directory.
    pub(crate) fn draw(&self, directory: &Path) -> Result<()> {
        for part in &self.parts {
            if let Part::Table(table) = part
                && let Some((name, columns)) = table.chart
            {
                chart::draw(table, columns, &directory.join(format!("{name}.svg")))?;
            }
        }
        Ok(())
    }
}
