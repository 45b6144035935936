//! The metrics of a run as a picture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::plot::{LineChart, Scene, Series, write_png, write_svg};
use crate::{Error, Result};

const PANEL: (f64, f64) = (640.0, 330.0);

/// Draws `metrics.jsonl` of a run directory to `metrics.svg` and `metrics.png`: a panel for the losses, the learning rate, the
/// norm of the gradient, and each further figure (with its figure on held-out data, where there is one).
///
/// # Errors
/// [`Error::Io`] names the file; [`Error::Format`] names the line that is not a JSON object.
pub fn plot_metrics(run_dir: impl AsRef<Path>) -> Result<()> {
    let run_dir = run_dir.as_ref();
    let lines = read_lines(&run_dir.join("metrics.jsonl"))?;
    let panels = panels(&lines);
    let columns = if panels.len() > 2 { 2 } else { 1 };
    let rows = panels.len().div_ceil(columns);
    let mut page = Scene::new(PANEL.0 * columns as f64, PANEL.1 * rows as f64);
    for (index, panel) in panels.iter().enumerate() {
        let at = (PANEL.0 * (index % columns) as f64, PANEL.1 * (index / columns) as f64);
        page.place(panel.scene(PANEL.0, PANEL.1), at);
    }
    write_svg(&run_dir.join("metrics.svg"), &page)?;
    write_png(&run_dir.join("metrics.png"), &page)
}

fn read_lines(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let parsed = serde_json::from_str(line);
            parsed.map_err(|e| Error::format(path, format!("line {}: {e}", index + 1)))
        })
        .collect()
}

/// The losses first, then the figures every run has, then the stage's own by name.
fn panels(lines: &[Map<String, Value>]) -> Vec<LineChart> {
    let names: BTreeSet<&str> = lines.iter().flat_map(|line| line.keys().map(String::as_str)).collect();
    let mut groups: BTreeMap<(u8, &str), Vec<&str>> = BTreeMap::new();
    for name in names.into_iter().filter(|name| !matches!(*name, "step" | "secs" | "loading_share")) {
        let subject = name.strip_prefix("valid_").unwrap_or(name);
        let rank = match subject {
            "loss" => 0,
            "learning_rate" => 1,
            "gradient_norm" => 2,
            _ => 3,
        };
        groups.entry((rank, subject)).or_default().push(name);
    }
    groups.into_iter().map(|((_, subject), names)| panel(lines, subject, &names)).collect()
}

fn panel(lines: &[Map<String, Value>], subject: &str, names: &[&str]) -> LineChart {
    let mut series: Vec<Series> = names.iter().map(|name| series(lines, name)).collect();
    if let Some(position) = names.iter().position(|name| *name == "loss") {
        let points = smoothed(&series[position].points);
        series.push(Series { name: "smoothed".to_owned(), points, step: false });
    }
    if let [only] = series.as_mut_slice() {
        // The heading says it.
        only.name = String::new();
    }
    LineChart { title: subject.replace('_', " "), x_label: "step".to_owned(), series, ..LineChart::default() }
}

fn series(lines: &[Map<String, Value>], name: &str) -> Series {
    let number = |line: &Map<String, Value>, key: &str| line.get(key).map(|v| v.as_f64().unwrap_or(f64::NAN));
    let points = lines.iter().filter_map(|line| Some((number(line, "step")?, number(line, name)?))).collect();
    let name = if name.starts_with("valid_") { "held-out" } else { "training" }.to_owned();
    Series { name, points, step: false }
}

/// A running mean over about a fifteenth of the run.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = 1.0 - 1.0 / (points.len() as f64 / 15.0).max(1.0);
    let mut mean = f64::NAN;
    let step = |(x, y): &(f64, f64)| {
        if y.is_finite() {
            mean = if mean.is_finite() { keep * mean + (1.0 - keep) * y } else { *y };
        }
        (*x, mean)
    };
    points.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_their_validation_share_a_panel() {
        let text = r#"{"step": 1, "loss": 2.0, "learning_rate": 0.1, "secs": 3.0, "accuracy": 0.1}
            {"step": 2, "loss": null, "learning_rate": 0.2, "secs": 4.0, "accuracy": 0.2, "valid_accuracy": 0.3, "valid_loss": 1}"#;
        let lines: Vec<Map<String, Value>> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let panels = panels(&lines);
        let titles: Vec<&str> = panels.iter().map(|p| p.title.as_str()).collect();
        assert_eq!(titles, ["loss", "learning rate", "accuracy"]);
        let names: Vec<&str> = panels[0].series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["training", "held-out", "smoothed"]);
        assert!(panels[0].series[0].points[1].1.is_nan());
        assert_eq!(panels[0].series[2].points[1], (2.0, 2.0));
        assert_eq!(panels[2].series[1].points, [(2.0, 0.3)]);
    }

    #[test]
    fn a_run_without_lines_is_drawn_and_a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(plot_metrics(folder.path()), Err(Error::Io { .. })));
        fs::write(folder.path().join("metrics.jsonl"), "").unwrap();
        plot_metrics(folder.path()).unwrap();
        fs::write(folder.path().join("metrics.jsonl"), "{\"step\": 1}\n[2]\n").unwrap();
        let error = plot_metrics(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
