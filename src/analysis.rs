//! Curves of phrases over time.

use std::fmt;

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
    /// Draws the curves as SVG and PNG beside one another: `stem.svg` and `stem.png`.
    ///
    /// # Errors
    /// A file cannot be written.
    #[cfg(feature = "plot")]
    pub fn plot(&self, title: &str, stem: impl AsRef<std::path::Path>) -> crate::Result<()> {
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

impl fmt::Display for Curves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.phrases.iter().map(|phrase| phrase.chars().count()).max().unwrap_or(0);
        write!(f, "{:width$}", "")?;
        for window in 0..self.values.ncols() {
            write!(f, " {:>6.0}s", window as f64 * self.window_secs)?;
        }
        for (phrase, values) in self.phrases.iter().zip(self.values.rows()) {
            write!(f, "\n{phrase:width$}")?;
            values.iter().try_for_each(|value| write!(f, " {value:>7.3}"))?;
        }
        Ok(())
    }
}
