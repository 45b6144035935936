//! Points of two quantities.

use std::path::Path;

use super::axis::is_drawable;
use super::frame::{Frame, Texts, page_height};
use super::palette;
use super::render;
use super::scene::Scene;
use crate::Result;

/// Points of one colour.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cloud {
    /// Name in the legend.
    pub name: String,
    /// Points `(x, y)`; one with a value that is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

/// One quantity against another.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::plot::{Cloud, ScatterChart};
/// let chart = ScatterChart {
///     title: "Thoughts and stems".into(),
///     x_label: "level (dB)".into(),
///     y_label: "cosine".into(),
///     clouds: vec![Cloud { name: "bass".into(), points: vec![(-40.0, 0.0), (-12.0, 0.4)] }],
/// };
/// let folder = tempfile::tempdir().unwrap();
/// chart.write_svg(folder.path().join("bass.svg"))?;
/// assert!(std::fs::read_to_string(folder.path().join("bass.svg")).unwrap().contains("cosine"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScatterChart {
    /// Heading; may be empty, like the labels.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// Points, in the order of the legend.
    pub clouds: Vec<Cloud>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 560.0;
/// Side of the square that marks a point.
const MARKER: f64 = 4.5;

impl ScatterChart {
    /// Writes the chart as SVG, atomically.
    ///
    /// # Errors
    /// [`crate::Error::Io`] names the file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_svg(path.as_ref(), &self.scene(WIDTH, page_height(HEIGHT, self.clouds.len())))
    }

    /// Writes the chart as PNG (two pixels per unit of the SVG, one where it is very large), atomically.
    ///
    /// # Errors
    /// [`crate::Error::Io`] names the file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_png(path.as_ref(), &self.scene(WIDTH, page_height(HEIGHT, self.clouds.len())))
    }

    /// The chart in a given size.
    pub(super) fn scene(&self, width: f64, height: f64) -> Scene {
        let mut scene = Scene::new(width, height);
        let texts = Texts {
            title: &self.title,
            x_label: &self.x_label,
            y_label: &self.y_label,
            legend: self.clouds.iter().map(|cloud| cloud.name.as_str()).collect(),
        };
        let values = (self.points().map(|(_, p)| p.0), self.points().map(|(_, p)| p.1));
        let frame = Frame::new(&mut scene, &texts, 0.0, 0.05, values);
        frame.draw_grid(&mut scene);
        for (index, point) in self.points() {
            let (x, y) = frame.place(point);
            let corner = (x - MARKER / 2.0, y - MARKER / 2.0);
            scene.fill(corner, (MARKER, MARKER), palette::line(index).0);
        }
        frame.draw_axes(&mut scene, &texts);
        frame.draw_legend(&mut scene, &texts);
        scene
    }

    /// All points that can be drawn, with the index of their cloud.
    fn points(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        let of = |(index, cloud): (usize, &Cloud)| {
            cloud.points.iter().map(move |point| (index, *point)).collect::<Vec<_>>()
        };
        let all = self.clouds.iter().enumerate().flat_map(of);
        all.filter(|(_, point)| is_drawable(point.0) && is_drawable(point.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_inside_and_broken_ones_are_not() {
        let points = vec![(0.0, 1.0), (f64::NAN, 2.0), (3.0, -5.0), (2.0, f64::INFINITY)];
        let chart =
            ScatterChart { clouds: vec![Cloud { name: "a".into(), points }], ..ScatterChart::default() };
        let scene = chart.scene(400.0, 300.0);
        let drawn: Vec<_> = scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                super::super::scene::Shape::Fill { corner, .. } => Some(*corner),
                _ => None,
            })
            .collect();
        assert_eq!(drawn.len(), 2);
        assert!(drawn.iter().all(|(x, y)| (0.0..400.0).contains(x) && (0.0..300.0).contains(y)));
    }
}
