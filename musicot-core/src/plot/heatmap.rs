//! A grid of values as colours.

use std::path::Path;

use ndarray::Array2;

use super::axis::{Axis, is_drawable};
use super::palette::{self, ABSENT, FRAME, INK, SOFT_INK};
use super::render;
use super::scene::{Anchor, LABEL_SIZE, Point, Scene, TICK_SIZE, shorten, text_width, widest};
use crate::{Error, Result};

/// A grid of values as colours, with a bar that explains them. Values are written into cells that have the room.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::plot::Heatmap;
/// let map = Heatmap {
///     title: "Plan".into(),
///     x_label: "window".into(),
///     rows: vec!["bass".into(), "drums".into()],
///     columns: vec!["0 s".into(), "10 s".into(), "20 s".into()],
///     values: ndarray::array![[0.1, 0.7, 0.6], [0.0, 0.2, 0.9]],
/// };
/// let folder = tempfile::tempdir().unwrap();
/// map.write_svg(folder.path().join("plan.svg"))?;
/// assert!(std::fs::read_to_string(folder.path().join("plan.svg")).unwrap().contains("drums"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heatmap {
    /// Heading; may be empty.
    pub title: String,
    /// What the columns are; may be empty.
    pub x_label: String,
    /// Names of the rows, from top to bottom.
    pub rows: Vec<String>,
    /// Names of the columns; those that do not fit beside one another are left out.
    pub columns: Vec<String>,
    /// Values `[rows, columns]`; one that is not finite is grey.
    pub values: Array2<f64>,
}

const LARGEST_MAP: Point = (800.0, 1600.0);
const WIDEST_NAME: f64 = 260.0;
const BAR_WIDTH: f64 = 18.0;

impl Heatmap {
    /// Writes the map as SVG, atomically.
    ///
    /// # Errors
    /// [`Error::Shape`] when names and values do not agree; [`Error::Io`] names the file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_svg(path.as_ref(), &self.scene()?)
    }

    /// Writes the map as PNG (two pixels per unit of the SVG, one where it is very large), atomically.
    ///
    /// # Errors
    /// [`Error::Shape`] when names and values do not agree; [`Error::Io`] names the file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        render::write_png(path.as_ref(), &self.scene()?)
    }

    fn scene(&self) -> Result<Scene> {
        self.check()?;
        let (rows, columns) = self.values.dim();
        let cell = (
            (LARGEST_MAP.0 / columns.max(1) as f64).min(90.0),
            (LARGEST_MAP.1 / rows.max(1) as f64).min(30.0),
        );
        let left = 28.0 + widest(self.rows.iter().map(String::as_str), LABEL_SIZE).min(WIDEST_NAME);
        let top = if self.title.is_empty() { 16.0 } else { 48.0 };
        let map = ((cell.0 * columns as f64).max(120.0), (cell.1 * rows as f64).max(90.0));
        let names = if self.columns.iter().all(String::is_empty) { 0.0 } else { 28.0 };
        let below = names + if self.x_label.is_empty() { 16.0 } else { 40.0 };
        let axis = Axis::covering(self.values.iter().copied(), 0.0, 4);
        let bar = 30.0 + BAR_WIDTH + 8.0 + widest(axis.ticks.iter().map(|t| t.1.as_str()), TICK_SIZE) + 20.0;

        let wide_enough = text_width(&self.title, super::scene::TITLE_SIZE).min(LARGEST_MAP.0) + 40.0;
        let mut scene = Scene::new((left + map.0 + bar).max(wide_enough), top + map.1 + below);
        scene.title(&self.title);
        self.draw_cells(&mut scene, (left, top), cell, &axis);
        self.draw_names(&mut scene, (left, top), cell);
        let middle = left + cell.0 * columns as f64 / 2.0;
        let y = top + cell.1 * rows as f64 + names + 18.0;
        scene.text((middle, y), &self.x_label, LABEL_SIZE, INK, Anchor::Middle);
        draw_bar(&mut scene, (left + map.0 + 30.0, top), map.1, &axis);
        Ok(scene)
    }

    fn check(&self) -> Result<()> {
        let (rows, columns) = self.values.dim();
        if (self.rows.len(), self.columns.len()) == (rows, columns) {
            return Ok(());
        }
        Err(Error::Shape {
            what: "heat-map values".to_owned(),
            expected: format!("[{} rows, {} columns] as named", self.rows.len(), self.columns.len()),
            actual: vec![rows as i64, columns as i64],
        })
    }

    fn draw_cells(&self, scene: &mut Scene, corner: Point, cell: Point, axis: &Axis) {
        let has_room = cell.1 >= 20.0 && cell.0 >= widest(["-0.00"], TICK_SIZE) + 6.0;
        for ((row, column), value) in self.values.indexed_iter() {
            let at = (corner.0 + cell.0 * column as f64, corner.1 + cell.1 * row as f64);
            if !is_drawable(*value) {
                scene.fill(at, cell, ABSENT);
                continue;
            }
            let level = axis.place(*value);
            scene.fill(at, cell, palette::ramp(level));
            let text = axis.describe(*value);
            if has_room && text_width(&text, TICK_SIZE) < cell.0 - 4.0 {
                let middle = (at.0 + cell.0 / 2.0, at.1 + cell.1 / 2.0);
                scene.text(middle, &text, TICK_SIZE, palette::ink_on(level), Anchor::Middle);
            }
        }
    }

    fn draw_names(&self, scene: &mut Scene, corner: Point, cell: Point) {
        let every = |size: f64, wanted: f64| (wanted / size.max(1e-9)).ceil().max(1.0) as usize;
        for (row, name) in self.rows.iter().enumerate().step_by(every(cell.1, 16.0)) {
            let y = corner.1 + cell.1 * (row as f64 + 0.5);
            scene.text(
                (corner.0 - 10.0, y),
                &shorten(name, LABEL_SIZE, WIDEST_NAME),
                LABEL_SIZE,
                INK,
                Anchor::Right,
            );
        }
        let widest = widest(self.columns.iter().map(String::as_str), TICK_SIZE);
        let y = corner.1 + cell.1 * self.rows.len() as f64 + 16.0;
        for (column, name) in self.columns.iter().enumerate().step_by(every(cell.0, widest + 10.0)) {
            let x = corner.0 + cell.0 * (column as f64 + 0.5);
            scene.text((x, y), name, TICK_SIZE, SOFT_INK, Anchor::Middle);
        }
    }
}

/// The colours from low (below) to high.
fn draw_bar(scene: &mut Scene, corner: Point, height: f64, axis: &Axis) {
    let height = height.min(320.0);
    let slices = 128;
    let slice = height / f64::from(slices);
    for i in 0..slices {
        let level = 1.0 - (f64::from(i) + 0.5) / f64::from(slices);
        scene.fill((corner.0, corner.1 + slice * f64::from(i)), (BAR_WIDTH, slice), palette::ramp(level));
    }
    let far = (corner.0 + BAR_WIDTH, corner.1 + height);
    scene.path(vec![corner, (far.0, corner.1), far, (corner.0, far.1), corner], FRAME, 1.0);
    for (value, label) in &axis.ticks {
        let y = far.1 - axis.place(*value) * height;
        scene.path(vec![(far.0, y), (far.0 + 4.0, y)], FRAME, 1.0);
        scene.tick((far.0 + 8.0, y), label, Anchor::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_agree_with_the_values() {
        let map = Heatmap { rows: vec!["a".into()], values: Array2::zeros((2, 3)), ..Heatmap::default() };
        let error = map.scene().unwrap_err().to_string();
        assert!(error.contains("[1 rows, 0 columns]") && error.contains("[2, 3]"), "{error}");
    }

    #[test]
    fn empty_and_broken_maps_are_drawn() {
        assert!(Heatmap::default().scene().is_ok());
        let map = Heatmap {
            rows: vec!["a".into()],
            columns: vec!["b".into(), "c".into()],
            values: ndarray::array![[f64::NAN, f64::INFINITY]],
            ..Heatmap::default()
        };
        assert!(map.scene().is_ok());
    }
}
