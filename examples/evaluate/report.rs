//! Figures with their targets, as a table, as Markdown and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use musicot::core::files::{write_atomic, write_json};
use musicot::core::tch;
use musicot_eval::Table;
use musicot_eval::statistics::Interval;
use serde::Serialize;

use crate::Context;
use crate::common::Outcome;
use crate::machine;

/// Whether a figure meets its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Short,
    /// There is no target: the figure is there to compare with.
    NoTarget,
    NotMeasured,
}

impl Verdict {
    fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Short => "SHORT",
            Self::NoTarget => "",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A row of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: Option<f64>,
    /// 95 % bootstrap interval of a mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub verdict: Verdict,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Figure {
    /// A plain value.
    pub fn of(name: impl Into<String>, value: f64) -> Self {
        let verdict = Verdict::NoTarget;
        Self { name: name.into(), value: Some(value), interval: None, target: None, verdict, reason: None }
    }

    /// A mean with its interval.
    pub fn mean(name: impl Into<String>, of: Interval) -> Self {
        Self { interval: Some([of.low, of.high]), ..Self::of(name, of.mean) }
    }

    /// A figure that could not be computed.
    pub fn missing(name: impl Into<String>, reason: &str) -> Self {
        let reason = Some(reason.split_whitespace().collect::<Vec<_>>().join(" "));
        Self { value: None, verdict: Verdict::NotMeasured, reason, ..Self::of(name, 0.0) }
    }

    /// The target is a value of at least this.
    #[must_use]
    pub fn at_least(self, least: f64) -> Self {
        let is_met = self.value.is_some_and(|value| value >= least);
        self.goal(format!(">= {least}"), is_met)
    }

    /// The target is a value of at most this.
    #[must_use]
    pub fn at_most(self, most: f64) -> Self {
        let is_met = self.value.is_some_and(|value| value <= most);
        self.goal(format!("<= {most}"), is_met)
    }

    /// The target is a mean whose whole interval is above 0.
    #[must_use]
    pub fn surely_positive(self) -> Self {
        let is_met = self.interval.is_some_and(|[low, _]| low > 0.0);
        self.goal("interval > 0", is_met)
    }

    /// Any other target.
    #[must_use]
    pub fn goal(mut self, text: impl Into<String>, is_met: bool) -> Self {
        self.target = Some(text.into());
        if self.value.is_some() {
            self.verdict = if is_met { Verdict::Pass } else { Verdict::Short };
        }
        self
    }

    fn cells(&self, value: f64) -> [String; 5] {
        let interval = self
            .interval
            .map_or_else(String::new, |[low, high]| format!("{} .. {}", shown(low), shown(high)));
        let target = self.target.clone().unwrap_or_default();
        [self.name.clone(), shown(value), interval, target, self.verdict.label().to_owned()]
    }

    /// The line of a figure without a value.
    fn absence(&self) -> String {
        let target = self.target.as_ref().map_or_else(String::new, |target| format!(" (target {target})"));
        let reason = self.reason.as_deref().unwrap_or("no value");
        format!("{}: not measured: {reason}{target}", self.name)
    }
}

/// Three decimals; more of small values, which would read as nothing, and none of counts.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size > 1.0 && size.fract() == 0.0 => format!("{value}"),
        size if size > 0.0 && size < 0.01 => format!("{value:.2e}"),
        _ => format!("{value:.3}"),
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
        format!("### {}\n\n{}\n\n{table}{absences}", self.name, self.about)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} ({:.0} s)", self.about, self.secs)?;
        if let Some(table) = self.table() {
            write!(f, "{table}")?;
        }
        self.absences().try_for_each(|line| writeln!(f, "{line}"))
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
            command: machine::command_line(),
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
