//! Sections of figures, as tables, as Markdown and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use musicot::core::files::{write_atomic, write_json};
use musicot::core::tch;
use musicot_eval::Table;
use serde::Serialize;

use crate::Context;
use crate::common::Outcome;
use crate::figure::Figure;
use crate::machine;
use crate::wide::Wide;

/// What a section found.
#[derive(Debug, Default)]
pub struct Measured {
    pub figures: Vec<Figure>,
    pub tables: Vec<Wide>,
}

impl From<Vec<Figure>> for Measured {
    fn from(figures: Vec<Figure>) -> Self {
        Self { figures, tables: Vec::new() }
    }
}

impl Measured {
    /// Takes in a part of the section; one that failed is reported, and the others stay.
    pub fn add(&mut self, name: &str, part: Outcome<impl Into<Self>>) {
        match part.map(Into::into) {
            Ok(Self { figures, tables }) => {
                self.figures.extend(figures);
                self.tables.extend(tables);
            }
            Err(error) => self.figures.push(Figure::missing(name, &error.to_string())),
        }
    }
}

/// The figures of one subject.
#[derive(Debug, Serialize)]
pub struct Section {
    pub name: &'static str,
    pub about: &'static str,
    /// Wall-clock seconds.
    pub secs: f64,
    pub figures: Vec<Figure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Wide>,
}

impl Section {
    /// Whether nothing could be measured.
    pub fn is_empty(&self) -> bool {
        self.figures.iter().all(|figure| figure.value.is_none())
    }

    fn table(&self) -> Option<Table> {
        let mut table = Table::new([self.name, "value", "95 % interval", "target", "verdict"]);
        for figure in &self.figures {
            if let Some(value) = figure.value {
                // Five cells under five headings.
                table.row(figure.cells(value)).ok()?;
            }
        }
        (!self.is_empty()).then_some(table)
    }

    fn absences(&self) -> impl Iterator<Item = String> {
        self.figures.iter().filter(|figure| figure.value.is_none()).map(Figure::absence)
    }

    fn to_markdown(&self) -> String {
        let table = self.table().map_or_else(String::new, |table| format!("{}\n", table.to_markdown()));
        let absences: String = self.absences().map(|line| format!("- {line}\n")).collect();
        let wide: String = self.tables.iter().map(Wide::to_markdown).collect();
        let took = format!("Took {:.0} s.", self.secs);
        format!("### {}\n\n{} {took}\n\n{table}{absences}{wide}", self.name, self.about)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} ({:.0} s)", self.about, self.secs)?;
        if let Some(table) = self.table() {
            write!(f, "{table}")?;
        }
        self.absences().try_for_each(|line| writeln!(f, "{line}"))?;
        self.tables.iter().try_for_each(|table| write!(f, "{table}"))
    }
}

/// Everything, with what is needed to measure it again.
#[derive(Debug, Serialize)]
pub struct Report {
    pub musicot: &'static str,
    pub libtorch: &'static str,
    pub date_utc: String,
    pub machine: String,
    pub threads: i32,
    pub command: String,
    pub heldout_pieces: usize,
    /// Directory of each stage.
    pub stages: BTreeMap<&'static str, String>,
    /// SHA-256 of their files, by `stage/file`.
    pub sha256: BTreeMap<String, String>,
    pub sections: Vec<Section>,
}

impl Report {
    pub fn new(context: &Context) -> Outcome<Self> {
        Ok(Self {
            musicot: env!("CARGO_PKG_VERSION"),
            libtorch: "tch 0.24 / libtorch 2.11.0",
            date_utc: machine::date_utc(),
            machine: machine::describe(),
            threads: tch::get_num_threads(),
            command: machine::command_line("cargo xtask evaluate", 0),
            heldout_pieces: context.heldout.records().len(),
            stages: context.stages.directories(),
            sha256: context.stages.hashes()?,
            sections: Vec::new(),
        })
    }

    /// Writes `evaluate.json` and `evaluate.md`.
    pub fn write(&self, dir: &Path) -> Outcome {
        write_json(dir.join("evaluate.json"), self)?;
        let text = self.to_markdown();
        Ok(write_atomic(dir.join("evaluate.md"), |file| file.write_all(text.as_bytes()))?)
    }

    fn to_markdown(&self) -> String {
        let mut text = format!(
            "## Evaluation\n\n{}, {}, threads: {}, musicot {} ({}); {} held-out pieces.\n\n    {}\n\n",
            self.date_utc,
            self.machine,
            self.threads,
            self.musicot,
            self.libtorch,
            self.heldout_pieces,
            self.command
        );
        for section in &self.sections {
            text.push_str(&section.to_markdown());
            text.push('\n');
        }
        text.push_str("### Files\n\n| file | SHA-256 |\n|---|---|\n");
        let rows = self.sha256.iter().map(|(file, hash)| format!("| {file} | `{hash}` |\n"));
        text.extend(rows);
        text
    }
}
