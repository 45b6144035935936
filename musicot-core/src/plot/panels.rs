//! Several charts on one page.

use std::path::Path;

use super::render;
use super::scene::Scene;
use super::{BarChart, LineChart, ScatterChart};
use crate::Result;

/// A chart of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// Bars with intervals.
    Bars(BarChart),
    /// Curves.
    Lines(LineChart),
    /// Points.
    Scatter(ScatterChart),
}

/// Charts side by side, row after row; each has its own axes.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::plot::{LineChart, Panel, Panels};
/// let chart = |title: &str| Panel::Lines(LineChart { title: title.into(), ..LineChart::default() });
/// let page = Panels { columns: 2, panels: vec![chart("cosine"), chart("error")] };
/// let folder = tempfile::tempdir().unwrap();
/// page.write_svg(folder.path().join("page.svg"))?;
/// assert!(std::fs::read_to_string(folder.path().join("page.svg")).unwrap().contains("error"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panels {
    /// Charts beside one another; 0 is taken for 1.
    pub columns: usize,
    /// The charts.
    pub panels: Vec<Panel>,
}

const PANEL: (f64, f64) = (640.0, 360.0);

impl Panels {
    /// Writes the page as SVG, atomically.
    ///
    /// # Errors
    /// Those of the charts.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_svg(path.as_ref(), &self.scene()?)
    }

    /// Writes the page as PNG (two pixels per unit of the SVG, one where it is very large), atomically.
    ///
    /// # Errors
    /// Those of the charts.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_png(path.as_ref(), &self.scene()?)
    }

    fn scene(&self) -> Result<Scene> {
        let columns = self.columns.max(1);
        let scenes = self.panels.iter().map(Panel::scene).collect::<Result<Vec<_>>>()?;
        let heights: Vec<f64> = scenes
            .chunks(columns)
            .map(|row| row.iter().map(|scene| scene.size.1).fold(0.0, f64::max))
            .collect();
        let width = PANEL.0 * columns.min(scenes.len().max(1)) as f64;
        let mut page = Scene::new(width, heights.iter().sum::<f64>().max(1.0));
        for (index, scene) in scenes.into_iter().enumerate() {
            let above: f64 = heights[..index / columns].iter().sum();
            page.place(scene, (PANEL.0 * (index % columns) as f64, above));
        }
        Ok(page)
    }
}

impl Panel {
    fn scene(&self) -> Result<Scene> {
        match self {
            Self::Bars(chart) => chart.scene(PANEL.0),
            Self::Lines(chart) => Ok(chart.scene(PANEL.0, PANEL.1)),
            Self::Scatter(chart) => Ok(chart.scene(PANEL.0, PANEL.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_high_as_their_highest_chart() {
        let bars = |rows: usize| BarChart { rows: vec!["a".to_owned(); rows], ..BarChart::default() };
        let high = bars(40).scene(PANEL.0).unwrap().size.1;
        let panels = vec![Panel::Bars(bars(1)), Panel::Bars(bars(40)), Panel::Lines(LineChart::default())];
        let page = Panels { columns: 2, panels }.scene().unwrap();
        assert_eq!(page.size, (2.0 * PANEL.0, high + PANEL.1));
        assert!(Panels::default().scene().is_ok());
    }
}
