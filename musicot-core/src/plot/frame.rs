//! The rectangle that curves and points are drawn in, its axes and its legend.

use super::axis::Axis;
use super::palette::{self, FRAME, GRID, INK};
use super::scene::{Anchor, LABEL_SIZE, Point, Scene, TICK_SIZE, shorten, widest};

const LEGEND_ROW: f64 = 24.0;
const LEGEND_SWATCH: f64 = 26.0;
const LEGEND_WIDEST: f64 = 230.0;
/// Names beyond these are left out.
const LEGEND_LONGEST: usize = 60;

/// What is written around a chart.
pub(super) struct Texts<'a> {
    pub title: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    /// A name per series, in the order of the colours; an empty one is left out.
    pub legend: Vec<&'a str>,
}

/// Height of a page whose legend has so many names.
pub(super) fn page_height(least: f64, names: usize) -> f64 {
    least.max(120.0 + LEGEND_ROW * names.min(LEGEND_LONGEST) as f64)
}

/// The rectangle of the curves and its axes.
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// Writes the title and leaves room for the other texts; `strip` is left free above the curves. `values` are all x and all y; the
    /// x axis is widened by `margin`.
    pub fn new(
        scene: &mut Scene,
        texts: &Texts<'_>,
        strip: f64,
        margin: f64,
        (xs, ys): (impl Iterator<Item = f64>, impl Iterator<Item = f64>),
    ) -> Self {
        let (width, height) = scene.size;
        let top = scene.title(texts.title) + strip;
        let bottom = height - if texts.x_label.is_empty() { 34.0 } else { 58.0 };
        let y = Axis::covering(ys, 0.05, ((bottom - top) / 48.0) as usize);
        let name = if texts.y_label.is_empty() { 0.0 } else { 24.0 };
        let left = 22.0 + name + widest(y.ticks.iter().map(|t| t.1.as_str()), TICK_SIZE);
        let right = width - legend_width(&texts.legend).max(24.0);
        let x = Axis::covering(xs, margin, ((right - left) / 70.0) as usize);
        Self { left, right, top, bottom, x, y }
    }

    pub fn place(&self, point: (f64, f64)) -> Point {
        let across = self.left + self.x.place(point.0) * (self.right - self.left);
        let down = self.bottom - self.y.place(point.1) * (self.bottom - self.top);
        (across, down)
    }

    pub fn draw_grid(&self, scene: &mut Scene) {
        for (value, _) in &self.y.ticks {
            let y = self.place((self.x.low, *value)).1;
            scene.path(vec![(self.left, y), (self.right, y)], GRID, 1.0);
        }
        for (value, _) in &self.x.ticks {
            let x = self.place((*value, self.y.low)).0;
            scene.path(vec![(x, self.top), (x, self.bottom)], GRID, 1.0);
        }
    }

    pub fn draw_axes(&self, scene: &mut Scene, texts: &Texts<'_>) {
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
        scene.text((middle.0, self.bottom + 41.0), texts.x_label, LABEL_SIZE, INK, Anchor::Middle);
        scene.upward_text((18.0, middle.1), texts.y_label, LABEL_SIZE);
    }

    pub fn draw_legend(&self, scene: &mut Scene, texts: &Texts<'_>) {
        draw_legend(scene, (self.right + 18.0, self.top), &texts.legend);
    }
}

/// Names beside their colours, from a corner downwards.
pub(super) fn draw_legend(scene: &mut Scene, corner: Point, names: &[&str]) {
    let named = names.iter().enumerate().take(LEGEND_LONGEST).filter(|(_, name)| !name.is_empty());
    for (index, name) in named {
        let (color, is_dashed) = palette::line(index);
        let y = corner.1 + 12.0 + LEGEND_ROW * index as f64;
        let swatch = [(corner.0, y), (corner.0 + LEGEND_SWATCH, y)];
        if is_dashed {
            scene.dashes(&swatch, color, 3.2, 6.5);
        } else {
            scene.path(swatch.to_vec(), color, 3.2);
        }
        let name = shorten(name, LABEL_SIZE, LEGEND_WIDEST);
        scene.text((corner.0 + LEGEND_SWATCH + 8.0, y), &name, LABEL_SIZE, INK, Anchor::Left);
    }
}

/// Space that a legend takes.
pub(super) fn legend_width(names: &[&str]) -> f64 {
    let names = names.iter().copied().filter(|name| !name.is_empty());
    let widest = widest(names, LABEL_SIZE).min(LEGEND_WIDEST);
    if widest == 0.0 { 0.0 } else { 18.0 + LEGEND_SWATCH + 8.0 + widest + 20.0 }
}
