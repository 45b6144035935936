//! Curves, bars, points and heat-maps as pictures: SVG for documents, PNG for everything else.
//!
//! Pictures are built as a list of shapes (`scene`) and then drawn by plotters' backends. The font is embedded, so that PNG
//! text looks the same on every machine; an SVG names it and falls back to the viewer's sans-serif.

mod axis;
mod bars;
mod frame;
mod heatmap;
mod line;
mod palette;
mod panels;
mod render;
mod scatter;
mod scene;

pub use bars::{Bar, BarChart, Bars};
pub use heatmap::Heatmap;
pub use line::{LineChart, Series};
pub use panels::{Panel, Panels};
pub use scatter::{Cloud, ScatterChart};
#[cfg(feature = "train")]
pub(crate) use {render::write_png, render::write_svg, scene::Scene};
