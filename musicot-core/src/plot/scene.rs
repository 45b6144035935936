//! A picture as a list of shapes, in units of which a page is about a thousand wide; y points down.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::palette::{INK, SOFT_INK};

/// Name of the embedded font, and what an SVG viewer without it shows.
pub(super) const FONT: &str = "Ubuntu, sans-serif";

pub(super) const TITLE_SIZE: f64 = 21.0;
pub(super) const LABEL_SIZE: f64 = 16.0;
pub(super) const TICK_SIZE: f64 = 14.5;

pub(super) type Point = (f64, f64);

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Color(pub u8, pub u8, pub u8);

/// Which part of a text stands at its point (vertically it is centred).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Path { points: Vec<Point>, color: Color, width: f64 },
    Fill { corner: Point, size: Point, color: Color },
    Text { at: Point, text: String, size: f64, color: Color, anchor: Anchor, upward: bool },
}

/// Shapes on a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    pub(super) size: Point,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { size: (width, height), shapes: Vec::new() }
    }

    /// Adds another picture with its corner at a point.
    pub(crate) fn place(&mut self, other: Scene, at: Point) {
        let shift = |p: Point| (p.0 + at.0, p.1 + at.1);
        self.shapes.extend(other.shapes.into_iter().map(|shape| match shape {
            Shape::Path { points, color, width } => {
                Shape::Path { points: points.into_iter().map(shift).collect(), color, width }
            }
            Shape::Fill { corner, size, color } => Shape::Fill { corner: shift(corner), size, color },
            Shape::Text { at, text, size, color, anchor, upward } => {
                Shape::Text { at: shift(at), text, size, color, anchor, upward }
            }
        }));
    }

    pub(super) fn path(&mut self, points: Vec<Point>, color: Color, width: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Path { points, color, width });
        }
    }

    pub(super) fn dashes(&mut self, points: &[Point], color: Color, width: f64, dash: f64) {
        for piece in dashes(points, dash) {
            self.path(piece, color, width);
        }
    }

    pub(super) fn fill(&mut self, corner: Point, size: Point, color: Color) {
        self.shapes.push(Shape::Fill { corner, size, color });
    }

    pub(super) fn text(&mut self, at: Point, text: &str, size: f64, color: Color, anchor: Anchor) {
        if !text.is_empty() {
            self.shapes.push(Shape::Text { at, text: text.to_owned(), size, color, anchor, upward: false });
        }
    }

    pub(super) fn upward_text(&mut self, at: Point, text: &str, size: f64) {
        if !text.is_empty() {
            let (text, color, anchor) = (text.to_owned(), INK, Anchor::Middle);
            self.shapes.push(Shape::Text { at, text, size, color, anchor, upward: true });
        }
    }

    /// The title; returns the height it takes.
    pub(super) fn title(&mut self, title: &str) -> f64 {
        if title.is_empty() {
            return 12.0;
        }
        let shown = shorten(title, TITLE_SIZE, self.size.0 - 40.0);
        self.text((20.0, 26.0), &shown, TITLE_SIZE, INK, Anchor::Left);
        48.0
    }

    pub(super) fn tick(&mut self, at: Point, text: &str, anchor: Anchor) {
        self.text(at, text, TICK_SIZE, SOFT_INK, anchor);
    }
}

/// Cuts a line into dashes with gaps two thirds as long.
fn dashes(points: &[Point], dash: f64) -> Vec<Vec<Point>> {
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    let (mut drawing, mut left) = (true, dash);
    for ends in points.windows(2) {
        let (mut from, to) = (ends[0], ends[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if drawing && piece.is_empty() {
                piece.push(from);
            }
            if length < left {
                left -= length;
                if drawing {
                    piece.push(to);
                }
                break;
            }
            let part = left / length;
            from = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            if drawing {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            }
            drawing = !drawing;
            left = if drawing { dash } else { dash * 2.0 / 3.0 };
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// Makes the embedded font known to plotters; whether that worked.
pub(super) fn font_ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok())
}

pub(super) fn font(size: f64) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name(FONT), size, FontStyle::Normal)
}

/// Width of a text.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    // Measured large, because plotters rounds to whole pixels.
    let zoom = 8.0;
    match font(size * zoom).box_size(text) {
        Ok((width, _)) if font_ready() => f64::from(width) / zoom,
        _ => 0.5 * size * text.chars().count() as f64,
    }
}

pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64) -> f64 {
    texts.into_iter().map(|text| text_width(text, size)).fold(0.0, f64::max)
}

/// The text, cut with an ellipsis where it is wider than `width`; empty where nothing fits.
pub(super) fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let cut = format!("{}…", kept.iter().collect::<String>().trim_end());
        if text_width(&cut, size) <= width {
            return if kept.is_empty() { String::new() } else { cut };
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_the_line_in_proportion() {
        let pieces = dashes(&[(0.0, 0.0), (50.0, 0.0), (100.0, 0.0)], 6.0);
        let drawn: f64 = pieces.iter().map(|p| p[p.len() - 1].0 - p[0].0).sum();
        // Six of every ten units, up to one dash at the end.
        assert!((drawn - 60.0).abs() <= 6.0, "{drawn}");
        assert!(pieces.iter().all(|p| p.len() > 1));
    }

    #[test]
    fn texts_are_measured_and_cut() {
        assert!(font_ready());
        let (short, long) = (text_width("bass", 16.0), text_width("bass and drums", 16.0));
        assert!(0.0 < short && short < long);
        let cut = shorten("bass and drums", 16.0, long - 1.0);
        assert!(cut.ends_with('…') && text_width(&cut, 16.0) < long);
        assert_eq!(shorten("bass", 16.0, short), "bass");
        assert_eq!(shorten("bass", 16.0, 1.0), "");
    }
}
