//! Curves over a common axis.

use std::path::Path;

use super::axis::is_drawable;
use super::frame::{Frame, Texts, page_height};
use super::palette::{self, MARK, SOFT_INK};
use super::render;
use super::scene::{Anchor, Point, Scene, TICK_SIZE, shorten};
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
        self.scene(WIDTH, page_height(HEIGHT, self.series.len()))
    }

    /// The chart in a given size.
    pub(crate) fn scene(&self, width: f64, height: f64) -> Scene {
        let mut scene = Scene::new(width, height);
        let (frame, texts) = self.frame(&mut scene);
        frame.draw_grid(&mut scene);
        draw_marks(&frame, &mut scene, &self.x_marks);
        for (index, series) in self.series.iter().enumerate() {
            draw_series(&frame, &mut scene, series, index);
        }
        frame.draw_axes(&mut scene, &texts);
        frame.draw_legend(&mut scene, &texts);
        scene
    }

    fn frame(&self, scene: &mut Scene) -> (Frame, Texts<'_>) {
        let texts = Texts {
            title: &self.title,
            x_label: &self.x_label,
            y_label: &self.y_label,
            legend: self.series.iter().map(|series| series.name.as_str()).collect(),
        };
        let strip = if self.x_marks.is_empty() { 0.0 } else { 22.0 };
        (Frame::new(scene, &texts, strip, 0.0, (self.xs(), self.ys())), texts)
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

/// Vertical lines with their names.
fn draw_marks(frame: &Frame, scene: &mut Scene, marks: &[(f64, String)]) {
    let mut placed: Vec<(f64, &str)> = marks
        .iter()
        .filter(|(x, _)| is_drawable(*x))
        .map(|(x, name)| (frame.place((*x, frame.y.low)).0, name.as_str()))
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends = placed.iter().skip(1).map(|m| m.0).chain([frame.right]).collect::<Vec<_>>();
    for ((x, name), end) in placed.into_iter().zip(ends) {
        scene.dashes(&[(x, frame.top - 20.0), (x, frame.bottom)], MARK, 1.2, 6.0);
        let shown = shorten(name, TICK_SIZE, end - x - 8.0);
        scene.text((x + 5.0, frame.top - 12.0), &shown, TICK_SIZE, SOFT_INK, Anchor::Left);
    }
}

fn draw_series(frame: &Frame, scene: &mut Scene, series: &Series, index: usize) {
    let (color, is_dashed) = palette::line(index);
    for run in series.points.split(|p| !is_drawable(p.0) || !is_drawable(p.1)) {
        let mut line: Vec<Point> = run.iter().map(|p| frame.place(*p)).collect();
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
        let (frame, _) = chart.frame(&mut scene);
        draw_series(&frame, &mut scene, &chart.series[0], 0);
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
