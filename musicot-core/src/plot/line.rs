//! Curves over a common axis.

use std::path::Path;

use super::axis::{Axis, is_drawable};
use super::palette::{self, FRAME, GRID, INK, MARK, SOFT_INK};
use super::render;
use super::scene::{Anchor, LABEL_SIZE, Point, Scene, TICK_SIZE, shorten, widest};
use crate::Result;

/// A curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points `(x, y)` in order of x. A value that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether y stays the same until the next point, instead of a straight line to it. To show how long the last value holds,
    /// repeat it at its end.
    pub step: bool,
}

/// Curves with a legend beside them.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::plot::{LineChart, Series};
/// let bass = vec![(0.0, 0.1), (10.0, 0.7), (20.0, 0.6), (30.0, 0.6)];
/// let chart = LineChart {
///     title: "Plan".into(),
///     x_label: "time (s)".into(),
///     y_label: "similarity".into(),
///     series: vec![Series { name: "bass".into(), points: bass, step: true }],
///     x_marks: vec![(0.0, "intro".into()), (10.0, "verse".into())],
/// };
/// let folder = tempfile::tempdir().unwrap();
/// chart.write_svg(folder.path().join("plan.svg"))?;
/// assert!(std::fs::read_to_string(folder.path().join("plan.svg")).unwrap().contains("verse"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// Heading; may be empty, like the labels.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Curves, in the order of the legend.
    pub series: Vec<Series>,
    /// Vertical lines, each with a name that is written to the right of it: where sections start.
    pub x_marks: Vec<(f64, String)>,
}

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 520.0;
const LEGEND_ROW: f64 = 24.0;
const LEGEND_SWATCH: f64 = 26.0;
const LEGEND_WIDEST: f64 = 230.0;
/// Names beyond these are left out.
const LEGEND_LONGEST: usize = 60;

impl LineChart {
    /// Writes the chart as SVG, atomically.
    ///
    /// # Errors
    /// [`crate::Error::Io`] names the file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_svg(path.as_ref(), &self.page())
    }

    /// Writes the chart as PNG (two pixels per unit of the SVG, one where it is very large), atomically.
    ///
    /// # Errors
    /// [`crate::Error::Io`] names the file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_png(path.as_ref(), &self.page())
    }

    /// A page of the usual size, higher where the legend needs it.
    fn page(&self) -> Scene {
        self.scene(WIDTH, HEIGHT.max(120.0 + LEGEND_ROW * self.series.len().min(LEGEND_LONGEST) as f64))
    }

    /// The chart in a given size.
    pub(crate) fn scene(&self, width: f64, height: f64) -> Scene {
        let mut scene = Scene::new(width, height);
        let frame = Frame::new(self, &mut scene);
        frame.draw_grid(&mut scene);
        frame.draw_marks(&mut scene, &self.x_marks);
        for (index, series) in self.series.iter().enumerate() {
            frame.draw_series(&mut scene, series, index);
        }
        frame.draw_axes(&mut scene, self);
        frame.draw_legend(&mut scene, &self.series);
        scene
    }

    fn xs(&self) -> impl Iterator<Item = f64> {
        let drawable = |p: &&(f64, f64)| is_drawable(p.0) && is_drawable(p.1);
        let points = self.series.iter().flat_map(move |s| s.points.iter().filter(drawable).map(|p| p.0));
        points.chain(self.x_marks.iter().map(|m| m.0))
    }

    fn ys(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|s| s.points.iter().filter(|p| is_drawable(p.0)).map(|p| p.1))
    }
}

/// The rectangle of the curves and its axes.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

impl Frame {
    fn new(chart: &LineChart, scene: &mut Scene) -> Self {
        let (width, height) = scene.size;
        let strip = if chart.x_marks.is_empty() { 0.0 } else { 22.0 };
        let top = scene.title(&chart.title) + strip;
        let bottom = height - if chart.x_label.is_empty() { 34.0 } else { 58.0 };
        let y = Axis::covering(chart.ys(), 0.05, ((bottom - top) / 48.0) as usize);
        let name = if chart.y_label.is_empty() { 0.0 } else { 24.0 };
        let left = 22.0 + name + widest(y.ticks.iter().map(|t| t.1.as_str()), TICK_SIZE);
        let right = width - legend_width(&chart.series).max(24.0);
        let x = Axis::covering(chart.xs(), 0.0, ((right - left) / 70.0) as usize);
        Self { left, right, top, bottom, x, y }
    }

    fn place(&self, point: (f64, f64)) -> Point {
        let across = self.left + self.x.place(point.0) * (self.right - self.left);
        let down = self.bottom - self.y.place(point.1) * (self.bottom - self.top);
        (across, down)
    }

    fn draw_grid(&self, scene: &mut Scene) {
        for (value, _) in &self.y.ticks {
            let y = self.place((self.x.low, *value)).1;
            scene.path(vec![(self.left, y), (self.right, y)], GRID, 1.0);
        }
        for (value, _) in &self.x.ticks {
            let x = self.place((*value, self.y.low)).0;
            scene.path(vec![(x, self.top), (x, self.bottom)], GRID, 1.0);
        }
    }

    fn draw_marks(&self, scene: &mut Scene, marks: &[(f64, String)]) {
        let mut placed: Vec<(f64, &str)> = marks
            .iter()
            .filter(|(x, _)| is_drawable(*x))
            .map(|(x, name)| (self.place((*x, self.y.low)).0, name.as_str()))
            .collect();
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ends = placed.iter().skip(1).map(|m| m.0).chain([self.right]).collect::<Vec<_>>();
        for ((x, name), end) in placed.into_iter().zip(ends) {
            scene.dashes(&[(x, self.top - 20.0), (x, self.bottom)], MARK, 1.2, 6.0);
            let shown = shorten(name, TICK_SIZE, end - x - 8.0);
            scene.text((x + 5.0, self.top - 12.0), &shown, TICK_SIZE, SOFT_INK, Anchor::Left);
        }
    }

    fn draw_series(&self, scene: &mut Scene, series: &Series, index: usize) {
        let (color, is_dashed) = palette::line(index);
        for run in series.points.split(|p| !is_drawable(p.0) || !is_drawable(p.1)) {
            let mut line: Vec<Point> = run.iter().map(|p| self.place(*p)).collect();
            if series.step {
                line = with_corners(&line);
            }
            let line = thin(line);
            match line.as_slice() {
                [] => {}
                [(x, y)] => scene.fill((x - 3.0, y - 3.0), (6.0, 6.0), color),
                _ if is_dashed => scene.dashes(&line, color, 2.2, 9.0),
                _ => scene.path(line, color, 2.2),
            }
        }
    }

    fn draw_axes(&self, scene: &mut Scene, chart: &LineChart) {
        let corners = [
            (self.left, self.top),
            (self.left, self.bottom),
            (self.right, self.bottom),
            (self.right, self.top),
            (self.left, self.top),
        ];
        scene.path(corners.to_vec(), FRAME, 1.0);
        for (value, label) in &self.y.ticks {
            let y = self.place((self.x.low, *value)).1;
            scene.tick((self.left - 8.0, y), label, Anchor::Right);
        }
        for (value, label) in &self.x.ticks {
            let x = self.place((*value, self.y.low)).0;
            scene.tick((x, self.bottom + 16.0), label, Anchor::Middle);
        }
        let middle = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        scene.text((middle.0, self.bottom + 41.0), &chart.x_label, LABEL_SIZE, INK, Anchor::Middle);
        scene.upward_text((18.0, middle.1), &chart.y_label, LABEL_SIZE);
    }

    fn draw_legend(&self, scene: &mut Scene, series: &[Series]) {
        let left = self.right + 18.0;
        let named = series.iter().enumerate().take(LEGEND_LONGEST).filter(|(_, s)| !s.name.is_empty());
        for (index, series) in named {
            let (color, is_dashed) = palette::line(index);
            let y = self.top + 12.0 + LEGEND_ROW * index as f64;
            let swatch = [(left, y), (left + LEGEND_SWATCH, y)];
            if is_dashed {
                scene.dashes(&swatch, color, 3.2, 6.5);
            } else {
                scene.path(swatch.to_vec(), color, 3.2);
            }
            let name = shorten(&series.name, LABEL_SIZE, LEGEND_WIDEST);
            scene.text((left + LEGEND_SWATCH + 8.0, y), &name, LABEL_SIZE, INK, Anchor::Left);
        }
    }
}

/// Space right of the curves.
fn legend_width(series: &[Series]) -> f64 {
    let names = series.iter().map(|s| s.name.as_str()).filter(|name| !name.is_empty());
    let widest = widest(names, LABEL_SIZE).min(LEGEND_WIDEST);
    if widest == 0.0 { 0.0 } else { 18.0 + LEGEND_SWATCH + 8.0 + widest + 20.0 }
}

/// A corner before each point: along first, then up or down.
fn with_corners(line: &[Point]) -> Vec<Point> {
    let corners = line.windows(2).flat_map(|ends| [(ends[1].0, ends[0].1), ends[1]]);
    line.first().copied().into_iter().chain(corners).collect()
}

/// Keeps what can be seen of a long curve: first, lowest, highest and last point of every half unit.
fn thin(line: Vec<Point>) -> Vec<Point> {
    if line.len() < 4000 {
        return line;
    }
    let mut kept = Vec::new();
    for column in line.chunk_by(|a, b| (a.0 * 2.0).floor() == (b.0 * 2.0).floor()) {
        let by_height = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        let ends =
            [column.first(), column.iter().min_by(by_height), column.iter().max_by(by_height), column.last()];
        kept.extend(ends.into_iter().flatten().copied());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> LineChart {
        LineChart { series: vec![Series { name: "a".into(), points, step: false }], ..LineChart::default() }
    }

    #[test]
    fn curves_stay_inside_the_frame_and_break_at_gaps() {
        let chart = chart(vec![(0.0, 1.0), (1.0, -3.0), (2.0, f64::NAN), (3.0, 2.0), (4.0, 5.0)]);
        let mut scene = Scene::new(800.0, 400.0);
        let frame = Frame::new(&chart, &mut scene);
        frame.draw_series(&mut scene, &chart.series[0], 0);
        assert_eq!(scene.shapes.len(), 2);
        for shape in &scene.shapes {
            let super::super::scene::Shape::Path { points, .. } = shape else { panic!("{shape:?}") };
            assert!(points.iter().all(|p| (frame.left..=frame.right).contains(&p.0)));
            assert!(points.iter().all(|p| (frame.top..=frame.bottom).contains(&p.1)));
        }
    }

    #[test]
    fn steps_hold_their_value() {
        assert_eq!(with_corners(&[(0.0, 1.0), (2.0, 5.0)]), [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
        assert_eq!(with_corners(&[(0.0, 1.0)]), [(0.0, 1.0)]);
        assert!(with_corners(&[]).is_empty());
    }

    #[test]
    fn thinning_keeps_extremes() {
        let line: Vec<Point> =
            (0..100_000).map(|i| (f64::from(i) / 500.0, f64::from(i * 7919 % 1000))).collect();
        let thinned = thin(line.clone());
        assert!(thinned.len() <= 4 * 401, "{}", thinned.len());
        let highest = |points: &[Point]| points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
        assert_eq!(highest(&line), highest(&thinned));
        assert_eq!(line.last(), thinned.last());
    }
}
