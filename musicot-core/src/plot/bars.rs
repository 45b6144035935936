//! Bars with intervals.

use std::path::Path;

use super::axis::{Axis, is_drawable};
use super::frame::{draw_legend, legend_width};
use super::palette::{self, FRAME, GRID, INK, MARK, SOFT_INK};
use super::render;
use super::scene::{Anchor, LABEL_SIZE, Point, Scene, TICK_SIZE, shorten, widest};
use crate::{Error, Result};

/// A value, and the interval it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bar {
    /// How long the bar is; one that is not finite is left out.
    pub value: f64,
    /// Low and high end of its whisker.
    pub interval: Option<(f64, f64)>,
}

/// Bars of one colour, one per row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bars {
    /// Name in the legend.
    pub name: String,
    /// A bar per row of the chart.
    pub bars: Vec<Bar>,
}

/// Horizontal bars from 0, in rows with their names on the left, with whiskers for intervals and vertical lines for levels to compare with.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::plot::{Bar, BarChart, Bars};
/// let bars = vec![
///     Bar { value: 0.4, interval: Some((0.3, 0.5)) },
///     Bar { value: 0.7, interval: None },
/// ];
/// let chart = BarChart {
///     title: "CLAP score".into(),
///     x_label: "cosine".into(),
///     rows: vec!["single temperature".into(), "dual temperature".into()],
///     series: vec![Bars { name: String::new(), bars }],
///     marks: vec![(0.1, "chance".into())],
/// };
/// let folder = tempfile::tempdir().unwrap();
/// chart.write_svg(folder.path().join("score.svg"))?;
/// assert!(std::fs::read_to_string(folder.path().join("score.svg")).unwrap().contains("chance"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// Heading; may be empty, like the label.
    pub title: String,
    /// Name and unit of the values.
    pub x_label: String,
    /// Names of the rows, from top to bottom.
    pub rows: Vec<String>,
    /// Bars, in the order of the legend; those of one row are below one another.
    pub series: Vec<Bars>,
    /// Vertical dashed lines with names: chance levels, targets.
    pub marks: Vec<(f64, String)>,
}

const WIDTH: f64 = 860.0;
const WIDEST_NAME: f64 = 260.0;
const BAR: f64 = 16.0;
/// Between the bars of two rows.
const GAP: f64 = 12.0;
/// Above the bars, for the names of the marks.
const STRIP: f64 = 22.0;

impl BarChart {
    /// Writes the chart as SVG, atomically.
    ///
    /// # Errors
    /// [`Error::Shape`] where a series does not have a bar per row; [`Error::Io`] names the file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_svg(path.as_ref(), &self.scene(WIDTH)?)
    }

    /// Writes the chart as PNG (two pixels per unit of the SVG, one where it is very large), atomically.
    ///
    /// # Errors
    /// [`Error::Shape`] where a series does not have a bar per row; [`Error::Io`] names the file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_png(path.as_ref(), &self.scene(WIDTH)?)
    }

    /// The chart in a given width, as high as its rows need.
    pub(super) fn scene(&self, width: f64) -> Result<Scene> {
        self.check()?;
        let row = BAR * self.series.len().max(1) as f64 + GAP;
        let strip = if self.marks.is_empty() { 0.0 } else { STRIP };
        let head = if self.title.is_empty() { 12.0 } else { 48.0 } + strip;
        let foot = if self.x_label.is_empty() { 34.0 } else { 58.0 };
        let mut scene = Scene::new(width, head + (row * self.rows.len() as f64).max(40.0) + foot);
        scene.title(&self.title);
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let left = 28.0 + widest(self.rows.iter().map(String::as_str), LABEL_SIZE).min(WIDEST_NAME);
        let right = width - legend_width(&names).max(24.0);
        let area = Area {
            left,
            right,
            top: head,
            bottom: scene.size.1 - foot,
            axis: Axis::covering(self.values(), 0.04, ((right - left) / 80.0) as usize),
        };
        area.draw_grid(&mut scene);
        for (index, series) in self.series.iter().enumerate() {
            for (place, bar) in series.bars.iter().enumerate() {
                let y = head + row * place as f64 + GAP / 2.0 + BAR * index as f64;
                area.draw_bar(&mut scene, *bar, y, palette::line(index).0);
            }
        }
        area.draw_marks(&mut scene, &self.marks);
        for (place, name) in self.rows.iter().enumerate() {
            let name = shorten(name, LABEL_SIZE, WIDEST_NAME);
            scene.text(
                (left - 10.0, head + row * (place as f64 + 0.5)),
                &name,
                LABEL_SIZE,
                INK,
                Anchor::Right,
            );
        }
        let middle = ((left + right) / 2.0, area.bottom + 41.0);
        scene.text(middle, &self.x_label, LABEL_SIZE, INK, Anchor::Middle);
        draw_legend(&mut scene, (right + 18.0, head), &names);
        Ok(scene)
    }

    fn check(&self) -> Result<()> {
        match self.series.iter().find(|series| series.bars.len() != self.rows.len()) {
            None => Ok(()),
            Some(series) => Err(Error::Shape {
                what: format!("bars of `{}`", series.name),
                expected: format!("[{} rows]", self.rows.len()),
                actual: vec![series.bars.len() as i64],
            }),
        }
    }

    /// All values that are shown, and the 0 that bars begin at.
    fn values(&self) -> impl Iterator<Item = f64> {
        let ends =
            |bar: &Bar| [bar.value].into_iter().chain(bar.interval.into_iter().flat_map(|(a, b)| [a, b]));
        let bars = self.series.iter().flat_map(move |series| series.bars.iter().flat_map(ends));
        bars.chain(self.marks.iter().map(|mark| mark.0)).chain([0.0])
    }
}

/// The rectangle of the bars.
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    axis: Axis,
}

impl Area {
    fn x(&self, value: f64) -> f64 {
        self.left + self.axis.place(value) * (self.right - self.left)
    }

    fn draw_grid(&self, scene: &mut Scene) {
        for (value, label) in &self.axis.ticks {
            let x = self.x(*value);
            scene.path(vec![(x, self.top), (x, self.bottom)], GRID, 1.0);
            scene.tick((x, self.bottom + 16.0), label, Anchor::Middle);
        }
        let (near, far): (Point, Point) = ((self.left, self.top), (self.right, self.bottom));
        scene.path(vec![near, (near.0, far.1), far, (far.0, near.1), near], FRAME, 1.0);
    }

    fn draw_bar(&self, scene: &mut Scene, bar: Bar, y: f64, color: super::scene::Color) {
        if !is_drawable(bar.value) {
            return;
        }
        let (zero, end) = (self.x(0.0), self.x(bar.value));
        scene.fill((zero.min(end), y), ((end - zero).abs().max(1.0), BAR - 3.0), color);
        let Some((low, high)) = bar.interval.filter(|(low, high)| is_drawable(*low) && is_drawable(*high))
        else {
            return;
        };
        let (low, high, middle) = (self.x(low), self.x(high), y + (BAR - 3.0) / 2.0);
        scene.path(vec![(low, middle), (high, middle)], INK, 1.4);
        for x in [low, high] {
            scene.path(vec![(x, middle - 4.0), (x, middle + 4.0)], INK, 1.4);
        }
    }

    fn draw_marks(&self, scene: &mut Scene, marks: &[(f64, String)]) {
        for (value, name) in marks.iter().filter(|mark| is_drawable(mark.0)) {
            let x = self.x(*value);
            scene.dashes(&[(x, self.top - 16.0), (x, self.bottom)], MARK, 1.6, 6.0);
            let shown = shorten(name, TICK_SIZE, self.right - x - 6.0);
            scene.text((x + 5.0, self.top - 11.0), &shown, TICK_SIZE, SOFT_INK, Anchor::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> BarChart {
        let bars =
            values.iter().map(|value| Bar { value: *value, interval: Some((value - 0.1, value + 0.1)) });
        BarChart {
            rows: values.iter().map(f64::to_string).collect(),
            series: vec![Bars { name: "a".into(), bars: bars.collect() }],
            ..BarChart::default()
        }
    }

    #[test]
    fn bars_of_both_signs_begin_at_zero_and_broken_ones_are_left_out() {
        let scene = chart(&[0.5, -0.25, f64::NAN]).scene(600.0).unwrap();
        let bars: Vec<(f64, f64)> = scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                super::super::scene::Shape::Fill { corner, size, .. } => Some((corner.0, size.0)),
                _ => None,
            })
            .collect();
        let [(zero, long), (start, short)] = bars[..] else { panic!("{bars:?}") };
        assert!((start + short - zero).abs() < 1e-9 && (long / short - 2.0).abs() < 1e-9, "{bars:?}");
    }

    #[test]
    fn every_series_has_a_bar_per_row() {
        let error = BarChart { rows: vec![], ..chart(&[1.0]) }.scene(600.0).unwrap_err().to_string();
        assert!(error.contains("bars of `a`") && error.contains("[0 rows]"), "{error}");
        assert!(BarChart::default().scene(600.0).is_ok());
    }
}
