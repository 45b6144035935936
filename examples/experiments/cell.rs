//! Cells of the reports' tables.

use std::fmt;

use musicot_eval::statistics::Interval;
use serde_json::{Value, json};

/// A cell of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    Text(String),
    Number(f64),
    Count(usize),
    /// A mean, or another statistic, with its 95 % interval.
    Mean(Interval),
    /// The same beside its chance level.
    Against(Interval, f64),
    /// Nothing to report here.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl From<Interval> for Cell {
    fn from(of: Interval) -> Self {
        Self::Mean(of)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl Cell {
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(value) => json!(value),
            Self::Count(count) => json!(count),
            Self::Mean(of) => json!({ "mean": of.mean, "low": of.low, "high": of.high }),
            Self::Against(of, chance) => {
                json!({ "mean": of.mean, "low": of.low, "high": of.high, "chance": chance })
            }
            Self::Empty => Value::Null,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(value) => f.write_str(&shown(*value)),
            Self::Count(count) => count.fmt(f),
            Self::Mean(of) => write!(f, "{} [{}, {}]", shown(of.mean), shown(of.low), shown(of.high)),
            Self::Against(of, chance) => write!(f, "{} (chance {})", Self::Mean(*of), shown(*chance)),
            Self::Empty => f.write_str("-"),
        }
    }
}

/// Three decimals; more of small values, which would read as nothing, and none of whole numbers.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size > 1.0 && size.fract() == 0.0 => format!("{value}"),
        size if size > 0.0 && size < 0.01 => format!("{value:.1e}"),
        _ => format!("{value:.3}"),
    }
}

/// A row of cells of any kinds; `..` is followed by an iterator of more.
macro_rules! row {
    ($($cell:expr),+; ..$rest:expr) => {{
        let mut row = vec![$($crate::cell::Cell::from($cell)),+];
        row.extend($rest.map($crate::cell::Cell::from));
        row
    }};
    ($($cell:expr),+ $(,)?) => { vec![$($crate::cell::Cell::from($cell)),+] };
}
pub(crate) use row;
