//! A figure with its target.

use musicot_eval::statistics::{Interval, bootstrap_mean};
use serde::Serialize;

use crate::common::Outcome;
use crate::compare::rng;

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

    /// The mean of values, one per clip or piece, with its interval.
    pub fn mean_of(name: impl Into<String>, values: &[f64]) -> Outcome<Self> {
        Ok(Self::mean(name, bootstrap_mean(values, rng())?))
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

    pub fn cells(&self, value: f64) -> [String; 5] {
        let interval = self.interval.map_or_else(String::new, range);
        let target = self.target.clone().unwrap_or_default();
        [self.name.clone(), shown(value), interval, target, self.verdict.label().to_owned()]
    }

    /// The line of a figure without a value.
    pub fn absence(&self) -> String {
        let target = self.target.as_ref().map_or_else(String::new, |target| format!(" (target {target})"));
        let reason = self.reason.as_deref().unwrap_or("no value");
        format!("{}: not measured: {reason}{target}", self.name)
    }
}

/// Both ends of an interval.
pub fn range([low, high]: [f64; 2]) -> String {
    format!("{} .. {}", shown(low), shown(high))
}

/// Three decimals; more of small values, which would read as nothing, and none of counts.
pub fn shown(value: f64) -> String {
    match value.abs() {
        size if size > 1.0 && size.fract() == 0.0 => format!("{value}"),
        size if size > 0.0 && size < 0.01 => format!("{value:.2e}"),
        _ => format!("{value:.3}"),
    }
}
