//! From shapes to files.

use std::io::Write;
use std::path::Path;

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, RGBColor, ShapeStyle, TextStyle};

use super::palette::PAPER;
use super::scene::{Anchor, Color, Point, Scene, Shape, font, font_ready};
use crate::files::write_atomic;
use crate::{Error, Result};

/// Pixels of a PNG per unit, and for pages of many charts, which are large enough without.
const DENSITY: u32 = 2;
const DENSITY_OF_LARGE: u32 = 1;
const LARGE: f64 = 1e6;
/// Drawn this much finer and averaged, because the backend does not smooth edges.
const OVERSAMPLING: u32 = 2;
/// plotters has whole pixels only; an SVG is drawn this much larger and shown smaller.
const SVG_ZOOM: u32 = 8;

/// Writes a picture as SVG.
pub(crate) fn write_svg(path: &Path, scene: &Scene) -> Result<()> {
    let (width, height) = pixels(scene, SVG_ZOOM);
    let mut text = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut text, (width, height));
        draw(scene, &mut backend, f64::from(SVG_ZOOM), Flavor::Svg)?;
        backend.present().map_err(refused)?;
    }
    let drawn = format!("width=\"{width}\" height=\"{height}\"");
    let shown = format!("width=\"{}\" height=\"{}\"", width / SVG_ZOOM, height / SVG_ZOOM);
    let text = text.replacen(&drawn, &shown, 1);
    write_atomic(path, |file| file.write_all(text.as_bytes()))
}

/// Writes a picture as PNG.
pub(crate) fn write_png(path: &Path, scene: &Scene) -> Result<()> {
    let is_large = scene.size.0 * scene.size.1 > LARGE;
    let zoom = OVERSAMPLING * if is_large { DENSITY_OF_LARGE } else { DENSITY };
    let (width, height) = pixels(scene, zoom);
    let mut fine = vec![255_u8; width as usize * height as usize * 3];
    {
        // The annotation picks three bytes per pixel.
        let backend: Result<BitMapBackend<'_>, _> =
            BitMapBackend::with_buffer_and_format(&mut fine, (width, height));
        let mut backend = backend.map_err(|e| Error::input("plot", e.to_string()))?;
        draw(scene, &mut backend, f64::from(zoom), Flavor::Bitmap)?;
        backend.present().map_err(refused)?;
    }
    let pixels = average(&fine, width as usize);
    write_atomic(path, |file| {
        let mut encoder = png::Encoder::new(file, width / OVERSAMPLING, height / OVERSAMPLING);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        Ok(writer.finish()?)
    })
}

fn pixels(scene: &Scene, zoom: u32) -> (u32, u32) {
    let side = |size: f64| (size.round() as u32).max(1) * zoom;
    (side(scene.size.0), side(scene.size.1))
}

/// Means of squares of pixels.
fn average(fine: &[u8], width: usize) -> Vec<u8> {
    let side = OVERSAMPLING as usize;
    let (rows, columns) = (fine.len() / (3 * width) / side, width / side);
    let mut pixels = Vec::with_capacity(rows * columns * 3);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..3 {
                let square = (0..side * side).map(|i| {
                    u32::from(
                        fine[((row * side + i / side) * width + column * side + i % side) * 3 + channel],
                    )
                });
                pixels.push((square.sum::<u32>() / (OVERSAMPLING * OVERSAMPLING)) as u8);
            }
        }
    }
    pixels
}

/// What a backend needs.
#[derive(Clone, Copy, PartialEq)]
enum Flavor {
    Svg,
    /// Lines as a thick bar per piece and a disc per corner: this backend fills a thick path as one polygon, which leaves spikes
    /// and holes where a noisy curve turns sharply. Texts lower: it centres the line's box, not the letters.
    Bitmap,
}

/// How far the bitmap backend puts texts too high, as a fraction of their size.
const BITMAP_TEXT_RISE: f64 = 0.15;

fn draw<B: DrawingBackend>(scene: &Scene, backend: &mut B, zoom: f64, flavor: Flavor) -> Result<()> {
    if !font_ready() {
        return Err(Error::input("plot", "the embedded font cannot be read"));
    }
    let place = |p: Point| ((p.0 * zoom).round() as i32, (p.1 * zoom).round() as i32);
    let page = place(scene.size);
    backend.draw_rect((0, 0), page, &solid(PAPER), true).map_err(refused)?;
    for shape in &scene.shapes {
        match shape {
            Shape::Fill { corner, size, color } => {
                let far = place((corner.0 + size.0, corner.1 + size.1));
                backend.draw_rect(place(*corner), far, &solid(*color), true).map_err(refused)?;
            }
            Shape::Path { points, color, width } => {
                let points: Vec<(i32, i32)> = points.iter().map(|p| place(*p)).collect();
                stroke(backend, &points, *color, width * zoom, flavor)?;
            }
            Shape::Text { at, text, size, color, anchor, upward } => {
                let horizontal = match anchor {
                    Anchor::Left => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::Right => HPos::Right,
                };
                let turn = if *upward { FontTransform::Rotate270 } else { FontTransform::None };
                let color = rgb(*color);
                let style = TextStyle::from(font(size * zoom))
                    .color(&color)
                    .pos(Pos::new(horizontal, VPos::Center))
                    .transform(turn);
                let drop = if flavor == Flavor::Bitmap { BITMAP_TEXT_RISE * size } else { 0.0 };
                let at = if *upward { (at.0 + drop, at.1) } else { (at.0, at.1 + drop) };
                backend.draw_text(text, &style, place(at)).map_err(refused)?;
            }
        }
    }
    Ok(())
}

fn stroke<B: DrawingBackend>(
    backend: &mut B,
    points: &[(i32, i32)],
    color: Color,
    width: f64,
    flavor: Flavor,
) -> Result<()> {
    if flavor == Flavor::Svg {
        let style = ShapeStyle { stroke_width: width.round().max(1.0) as u32, ..solid(color) };
        return backend.draw_path(points.iter().copied(), &style).map_err(refused);
    }
    for ends in points.windows(2) {
        let bar = bar(ends[0], ends[1], width);
        backend.fill_polygon(bar, &solid(color)).map_err(refused)?;
    }
    let radius = (width / 2.0).floor() as u32;
    for corner in points.iter().skip(1).take(points.len().saturating_sub(2)) {
        backend.draw_circle(*corner, radius, &solid(color), true).map_err(refused)?;
    }
    Ok(())
}

/// The corners of a bar around a line.
fn bar(from: (i32, i32), to: (i32, i32), width: f64) -> [(i32, i32); 4] {
    let (x, y) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let scale = width / 2.0 / x.hypot(y).max(1e-9);
    let (side_x, side_y) = (-y * scale, x * scale);
    let corner = |p: (i32, i32), sign: f64| {
        ((f64::from(p.0) + sign * side_x).round() as i32, (f64::from(p.1) + sign * side_y).round() as i32)
    };
    [corner(from, 1.0), corner(to, 1.0), corner(to, -1.0), corner(from, -1.0)]
}

fn solid(color: Color) -> ShapeStyle {
    ShapeStyle { color: rgb(color).into(), filled: true, stroke_width: 1 }
}

fn rgb(color: Color) -> RGBColor {
    RGBColor(color.0, color.1, color.2)
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::input("plot", error.to_string())
}
