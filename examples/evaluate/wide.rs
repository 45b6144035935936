//! Several measures side by side, a row for each of several things.

use std::fmt;

use musicot_eval::Table;
use musicot_eval::statistics::{Interval, bootstrap_mean};
use serde::Serialize;

use crate::common::Outcome;
use crate::compare::rng;
use crate::figure::{range, shown};

/// A value with its 95 % interval, where it has one.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cell {
    pub value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Cell {
    /// A plain value.
    pub fn of(value: f64) -> Option<Self> {
        Some(Self { value, interval: None })
    }

    /// The mean of values, one per clip or piece; nothing of none.
    pub fn mean_of(values: &[f64]) -> Outcome<Option<Self>> {
        if values.is_empty() {
            return Ok(None);
        }
        Ok(Some(bootstrap_mean(values, rng())?.into()))
    }

    fn text(self) -> String {
        let interval = self.interval.map_or_else(String::new, |ends| format!(" [{}]", range(ends)));
        shown(self.value) + &interval
    }
}

impl From<Interval> for Cell {
    fn from(of: Interval) -> Self {
        Self { value: of.mean, interval: Some([of.low, of.high]) }
    }
}

/// A row; a cell without a value was not measured, or means nothing there.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: String,
    pub cells: Vec<Option<Cell>>,
}

/// The table.
#[derive(Debug, Clone, Serialize)]
pub struct Wide {
    pub name: &'static str,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Row>,
}

impl Wide {
    pub fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Self { name, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns.
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = Option<Cell>>) {
        let mut cells: Vec<_> = cells.into_iter().collect();
        cells.resize(self.columns.len(), None);
        self.rows.push(Row { name: name.into(), cells });
    }

    fn table(&self) -> musicot_eval::Result<Table> {
        let mut table = Table::new(std::iter::once(self.name).chain(self.columns.iter().copied()));
        for row in &self.rows {
            let cells = row.cells.iter().map(|cell| cell.map_or_else(String::new, Cell::text));
            table.row(std::iter::once(row.name.clone()).chain(cells))?;
        }
        Ok(table)
    }

    pub fn to_markdown(&self) -> String {
        self.table().map_or_else(|e| e.to_string(), |table| format!("\n{}", table.to_markdown()))
    }
}

impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table() {
            Ok(table) => write!(f, "\n{table}"),
            Err(error) => writeln!(f, "{error}"),
        }
    }
}
