//! Whether the joints of the diffusion's windows can be heard.

use musicot::core::AudioBuffer;
use musicot::diffusion::SessionConfig;
use musicot_eval::flux::FluxCurve;

use crate::common::Outcome;
use crate::figure::Figure;

/// Spectral flux at every seam of a rendered clip, as a share of its 95th percentile elsewhere; `frame_rate_hz` is that of the latents.
pub fn flux(windows: &SessionConfig, frame_rate_hz: f64, rendered: &AudioBuffer) -> Outcome<Vec<f64>> {
    let frames = (rendered.duration_secs() * frame_rate_hz).ceil() as usize;
    let times: Vec<f64> =
        windows.seams(frames).into_iter().map(|frame| frame as f64 / frame_rate_hz).collect();
    if times.is_empty() {
        return Ok(Vec::new());
    }
    let test = FluxCurve::of(rendered)?.seams(&times)?;
    Ok(test.at_seams.iter().map(|flux| flux / test.elsewhere_p95.max(f64::MIN_POSITIVE)).collect())
}

/// The shares of all seams.
pub fn figures(shares: &[f64], without: &str) -> Outcome<Vec<Figure>> {
    let name = "flux at seams of windows, of the 95th percentile elsewhere";
    if shares.is_empty() {
        return Ok(vec![Figure::missing(name, without)]);
    }
    let above: Vec<f64> = shares.iter().map(|share| f64::from(*share > 1.0)).collect();
    Ok(vec![
        Figure::of("seams", shares.len() as f64),
        Figure::mean_of(name, shares)?.at_most(1.0),
        Figure::mean_of("share of seams above it (0.05 by chance)", &above)?,
    ])
}
