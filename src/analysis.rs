//! Curves of phrases over time.

use std::fmt;
use std::path::Path;

use musicot_core::files::write_json;
use ndarray::Array2;

/// How near each window of a plan or recording is to each phrase.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// The phrases.
    pub phrases: Vec<String>,
    /// Seconds per window.
    pub window_secs: f64,
    /// Cosines `[phrases, windows]`. Compare a phrase with itself over time: phrases differ in their base level.
    pub values: Array2<f64>,
}

impl Curves {
    /// Writes phrases, seconds per window and the values `[phrases][windows]` as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> crate::Result<()> {
        let values: Vec<Vec<f64>> = self.values.rows().into_iter().map(|row| row.to_vec()).collect();
        let json =
            serde_json::json!({ "phrases": self.phrases, "window_secs": self.window_secs, "values": values });
        Ok(write_json(path, &json)?)
    }

    /// Draws the curves as SVG and PNG beside one another: `stem.svg` and `stem.png`.
    ///
    /// # Errors
    /// A file cannot be written.
    #[cfg(feature = "plot")]
    pub fn plot(&self, title: &str, stem: impl AsRef<Path>) -> crate::Result<()> {
        let chart = self.chart(title);
        chart.write_svg(stem.as_ref().with_extension("svg"))?;
        Ok(chart.write_png(stem.as_ref().with_extension("png"))?)
    }

    #[cfg(feature = "plot")]
    fn chart(&self, title: &str) -> musicot_core::plot::LineChart {
        use musicot_core::plot::{LineChart, Series};
        let curve = |(phrase, values): (&String, ndarray::ArrayView1<'_, f64>)| {
            let mut points: Vec<(f64, f64)> = values
                .iter()
                .enumerate()
                .map(|(window, value)| (window as f64 * self.window_secs, *value))
                .collect();
            // The last window lasts, too.
            points.extend(values.last().map(|value| (values.len() as f64 * self.window_secs, *value)));
            Series { name: phrase.clone(), points, step: true }
        };
        LineChart {
            title: title.to_owned(),
            x_label: "time (s)".to_owned(),
            y_label: "cosine with the phrase".to_owned(),
            series: self.phrases.iter().zip(self.values.rows()).map(curve).collect(),
            x_marks: Vec::new(),
        }
    }
}

/// Windows that are listed one by one; of more, each phrase's mean and extremes are.
const LISTED_WINDOWS: usize = 12;

impl fmt::Display for Curves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.phrases.iter().map(|phrase| phrase.chars().count()).max().unwrap_or(0);
        match self.values.ncols() <= LISTED_WINDOWS {
            true => self.list(f, width),
            false => self.summarize(f, width),
        }
    }
}

impl Curves {
    fn list(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        write!(f, "{:width$}", "")?;
        for window in 0..self.values.ncols() {
            write!(f, " {:>6.0}s", self.secs(window))?;
        }
        for (phrase, values) in self.phrases.iter().zip(self.values.rows()) {
            write!(f, "\n{phrase:width$}")?;
            values.iter().try_for_each(|value| write!(f, " {value:>7.3}"))?;
        }
        Ok(())
    }

    fn summarize(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        write!(f, "{:width$} {:>7} {:>7} {:>8} {:>8} {:>8}", "", "mean", "lowest", "at", "highest", "at")?;
        for (phrase, values) in self.phrases.iter().zip(self.values.rows()) {
            let by_value = |(_, left): &(usize, &f64), (_, right): &(usize, &f64)| left.total_cmp(right);
            let lowest = values.iter().enumerate().min_by(by_value);
            let highest = values.iter().enumerate().max_by(by_value);
            // More windows than are listed, hence at least one.
            let (Some((low_at, low)), Some((high_at, high))) = (lowest, highest) else { continue };
            let (low_at, high_at) = (self.secs(low_at), self.secs(high_at));
            let mean = values.sum() / values.len() as f64;
            write!(f, "\n{phrase:width$} {mean:>7.3} {low:>7.3} {low_at:>7.0}s {high:>8.3} {high_at:>7.0}s")?;
        }
        Ok(())
    }

    /// Where a window begins.
    fn secs(&self, window: usize) -> f64 {
        window as f64 * self.window_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(windows: usize) -> Curves {
        let values = Array2::from_shape_fn((2, windows), |(phrase, window)| match (phrase, window) {
            (1, 3) => 0.75,
            (1, 5) => -0.25,
            _ => 0.125,
        });
        Curves { phrases: vec!["a".to_owned(), "long".to_owned()], window_secs: 10.0, values }
    }

    #[test]
    fn few_windows_are_listed() {
        let text = curves(LISTED_WINDOWS).to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.len() == 4 + 8 * LISTED_WINDOWS), "{text}");
        assert!(text.contains("   110s") && text.contains("-0.250"), "{text}");
    }

    #[test]
    fn of_many_windows_the_extremes_are_told() {
        let text = curves(1080).to_string();
        assert!(text.lines().all(|line| line.len() < 60), "{text}");
        let line = text.lines().last().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["long", "0.125", "-0.250", "50s", "0.750", "30s"]);
    }

    #[test]
    fn what_is_saved_holds_every_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curves.json");
        curves(6).save(&path).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read["phrases"], serde_json::json!(["a", "long"]));
        assert_eq!(read["window_secs"], 10.0);
        assert_eq!(read["values"][1], serde_json::json!([0.125, 0.125, 0.125, 0.75, 0.125, -0.25]));
    }
}
