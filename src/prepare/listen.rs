//! Decoding a recording from start to end.

use std::path::Path;

use musicot_codec::AudioReader;

use super::Problem;

/// Length of a recording in seconds, after every sample of it was read; memory does not grow with it.
pub(super) fn duration_secs(path: &Path) -> Result<f64, Problem> {
    let problem = |error: musicot_codec::Error| Problem { path: path.to_owned(), reason: error.to_string() };
    let reader = AudioReader::open(path).map_err(problem)?;
    let rate = f64::from(reader.sample_rate_hz());
    let mut frames = 0_u64;
    for block in reader {
        frames += block.map_err(problem)?.frames() as u64;
    }
    match frames {
        0 => Err(Problem { path: path.to_owned(), reason: "holds no audio (0 s)".to_owned() }),
        _ => Ok(frames as f64 / rate),
    }
}
