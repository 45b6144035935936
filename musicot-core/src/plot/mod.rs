//! Curves and heat-maps as pictures: SVG for documents, PNG for everything else.
//!
//! Pictures are built as a list of shapes (`scene`) and then drawn by plotters' backends. The font is embedded, so that PNG
//! text looks the same on every machine; an SVG names it and falls back to the viewer's sans-serif.

mod axis;
mod heatmap;
mod line;
mod palette;
mod render;
mod scene;

pub use heatmap::Heatmap;
pub use line::{LineChart, Series};
#[cfg(feature = "train")]
pub(crate) use {render::write_png, render::write_svg, scene::Scene};
