//! Arms side by side: tables, differences and a picture.

use musicot::core::plot::{Bar, BarChart, Bars, Panel, Panels};

use crate::arms::Arm;
use crate::asks::Ask;
use crate::cell::Cell;
use crate::common::Outcome;
use crate::measures::{Measure, measures};
use crate::report::Report;
use crate::space::{Reference, Space};

/// Tables and a picture of arms with the same prompts; `base` is the arm that others are compared with.
pub fn compare(
    report: &mut Report<'_>,
    title: &str,
    arms: &[Arm],
    base: usize,
    asks: &[Ask],
    reference: &Reference,
) -> Outcome {
    let measured = arms.iter().map(|arm| measures(arm, asks)).collect::<Outcome<Vec<_>>>()?;
    let mut names: Vec<&str> = Vec::new();
    for measure in measured.iter().flatten() {
        if !names.contains(&measure.name) {
            names.push(measure.name);
        }
    }
    let table = Comparison { arms, measured, names, reference };
    report.table(title, table.headings(), table.rows()?)?;
    report.table(
        format!("{title}: difference from `{}`, paired by prompt", arms[base].name),
        table.headings(),
        table.differences(base)?,
    )?;
    report.picture(&part_name(title), title, |path| table.picture().write_svg(path))
}

/// A file name of a heading.
fn part_name(title: &str) -> String {
    let word: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    word.split_whitespace().take(3).collect::<Vec<_>>().join("-")
}

struct Comparison<'a> {
    arms: &'a [Arm],
    measured: Vec<Vec<Measure>>,
    names: Vec<&'static str>,
    reference: &'a Reference,
}

impl Comparison<'_> {
    fn headings(&self) -> Vec<String> {
        let spaces = Space::ALL.map(|space| space.name().to_owned());
        let names = self.names.iter().map(|name| (*name).to_owned());
        std::iter::once(String::new()).chain(spaces).chain(names).collect()
    }

    fn rows(&self) -> Outcome<Vec<Vec<Cell>>> {
        let row = |arm: usize| -> Outcome<Vec<Cell>> {
            let mut row = vec![Cell::from(self.arms[arm].name.as_str())];
            for space in Space::ALL {
                row.push(self.distance(arm, space).into());
            }
            for name in &self.names {
                row.push(match self.measure(arm, name) {
                    None => Cell::Empty,
                    Some(measure) => match (measure.interval()?, measure.chance) {
                        (of, Some(chance)) => Cell::Against(of, chance),
                        (of, None) => of.into(),
                    },
                });
            }
            Ok(row)
        };
        (0..self.arms.len()).map(row).collect()
    }

    fn differences(&self, base: usize) -> Outcome<Vec<Vec<Cell>>> {
        let row = |arm: usize| -> Outcome<Vec<Cell>> {
            let mut row = vec![Cell::from(self.arms[arm].name.as_str())];
            for space in Space::ALL {
                let difference =
                    self.reference.difference(space, &self.arms[arm].heard, &self.arms[base].heard);
                row.push(difference.ok().into());
            }
            for name in &self.names {
                row.push(match (self.measure(arm, name), self.measure(base, name)) {
                    (Some(own), Some(other)) => own.minus(other)?.into(),
                    _ => Cell::Empty,
                });
            }
            Ok(row)
        };
        (0..self.arms.len()).filter(|arm| *arm != base).map(row).collect()
    }

    /// None where there are too few clips to fit a distribution to.
    fn distance(&self, arm: usize, space: Space) -> Option<f64> {
        self.reference.distance(space, &self.arms[arm].heard.iter().collect::<Vec<_>>()).ok()
    }

    fn measure(&self, arm: usize, name: &str) -> Option<&Measure> {
        self.measured[arm].iter().find(|measure| measure.name == name)
    }

    /// A panel per measure, the arms in the same order in each.
    fn picture(&self) -> Panels {
        let chart = |title: &str, bars: Vec<Bar>, marks| {
            Panel::Bars(BarChart {
                title: title.to_owned(),
                rows: self.arms.iter().map(|arm| arm.name.clone()).collect(),
                series: vec![Bars { name: String::new(), bars }],
                marks,
                ..BarChart::default()
            })
        };
        let mut panels = Vec::new();
        for space in Space::ALL {
            let value = |arm: usize| self.distance(arm, space).unwrap_or(f64::NAN);
            let bars = (0..self.arms.len()).map(|arm| Bar { value: value(arm), interval: None });
            panels.push(chart(&format!("{} (less is nearer)", space.name()), bars.collect(), Vec::new()));
        }
        for name in &self.names {
            let found: Vec<Option<&Measure>> =
                (0..self.arms.len()).map(|arm| self.measure(arm, name)).collect();
            let bar = |measure: &Option<&Measure>| match measure.and_then(|measure| measure.interval().ok()) {
                Some(of) => Bar { value: of.mean, interval: Some((of.low, of.high)) },
                None => Bar { value: f64::NAN, interval: None },
            };
            let chances: Vec<f64> =
                found.iter().filter_map(|measure| measure.and_then(|m| m.chance)).collect();
            let chance = chances.iter().sum::<f64>() / chances.len().max(1) as f64;
            let marks = if chances.is_empty() { Vec::new() } else { vec![(chance, "chance".to_owned())] };
            panels.push(chart(name, found.iter().map(bar).collect(), marks));
        }
        Panels { columns: 2, panels }
    }
}
