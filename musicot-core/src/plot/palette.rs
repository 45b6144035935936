//! Colours.

use super::scene::Color;

pub(super) const PAPER: Color = Color(255, 255, 255);
pub(super) const INK: Color = Color(38, 38, 38);
pub(super) const SOFT_INK: Color = Color(95, 95, 95);
pub(super) const FRAME: Color = Color(150, 150, 150);
pub(super) const GRID: Color = Color(230, 230, 230);
pub(super) const MARK: Color = Color(165, 165, 165);
/// Cells without a value.
pub(super) const ABSENT: Color = Color(222, 222, 222);

/// Okabe and Ito's colours for the colour-blind (2008) without the yellow, which is too light on white, and two more.
const LINES: [Color; 8] = [
    Color(0, 114, 178),
    Color(213, 94, 0),
    Color(0, 158, 115),
    Color(204, 121, 167),
    Color(230, 159, 0),
    Color(86, 180, 233),
    Color(122, 73, 165),
    Color(110, 110, 110),
];

/// Colour of a series, and whether it is dashed because the colours are used up.
pub(super) fn line(index: usize) -> (Color, bool) {
    (LINES[index % LINES.len()], (index / LINES.len()) % 2 == 1)
}

/// From low to high; lightness falls evenly, so that the map also reads in grey.
const RAMP: [Color; 6] = [
    Color(247, 251, 245),
    Color(199, 230, 213),
    Color(118, 193, 190),
    Color(47, 141, 175),
    Color(30, 84, 143),
    Color(24, 32, 84),
];

/// Colour of a level within `[0, 1]`.
pub(super) fn ramp(level: f64) -> Color {
    let place = level.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let below = (place as usize).min(RAMP.len() - 2);
    let (from, to, rest) = (RAMP[below], RAMP[below + 1], place - below as f64);
    let blend = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * rest).round() as u8;
    Color(blend(from.0, to.0), blend(from.1, to.1), blend(from.2, to.2))
}

/// Ink that can be read on a level's colour.
pub(super) fn ink_on(level: f64) -> Color {
    if level > 0.5 { PAPER } else { INK }
}
