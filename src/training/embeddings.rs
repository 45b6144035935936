//! CLAP embeddings of all windows of a corpus: what a quantiser of thoughts is fitted to.

use std::path::Path;

use musicot_clap::AudioTextEncoder;
use musicot_codec::{read_audio, resample};
use musicot_core::tch::{Tensor, no_grad};
use musicot_core::train::Dataset;
use musicot_core::{Checkpoint, Storage, checkpoint};

use super::{PieceProgress, tell};
use crate::{Error, Result};

/// Name of the tensor in the file.
const WINDOWS: &str = "windows";

/// Embeds a window every `hop_secs` of every recording and writes them as `windows [windows, dim]` to a safetensors file.
/// Returns their number. Nothing is done when the file is there.
///
/// # Errors
/// A recording that cannot be read, or a file that cannot be written.
pub fn embed_corpus(
    dataset: &Dataset,
    encoder: &dyn AudioTextEncoder,
    hop_secs: f64,
    file: &Path,
    progress: &mut PieceProgress<'_>,
) -> Result<usize> {
    if file.is_file() {
        return Ok(read_vectors(file)?.size()[0] as usize);
    }
    let hop = (hop_secs * f64::from(encoder.sample_rate_hz())).round();
    if !(hop >= 1.0 && hop <= encoder.window_samples() as f64) {
        return Err(Error::input(
            "hop",
            format!("expected more than 0 s and at most a window, got {hop_secs} s"),
        ));
    }
    let total = dataset.records().len();
    let mut vectors = Vec::with_capacity(total);
    for (index, record) in dataset.records().iter().enumerate() {
        let audio =
            resample(&read_audio(dataset.resolve(&record.audio))?.to_mono(), encoder.sample_rate_hz())?;
        vectors.push(no_grad(|| encoder.embed_windows(&audio, hop as usize))?);
        tell(progress, index + 1, total)?;
    }
    let vectors = Tensor::f_cat(&vectors, 0)?;
    let count = vectors.size()[0] as usize;
    checkpoint::write(file, &[(WINDOWS.to_owned(), vectors)], Storage::Native)?;
    Ok(count)
}

/// Reads what [`embed_corpus`] wrote: `[windows, dim]`.
///
/// # Errors
/// The file is missing, malformed, or holds no such tensor.
pub fn read_vectors(file: &Path) -> Result<Tensor> {
    let vectors = Checkpoint::open(file)?.tensor(WINDOWS)?;
    musicot_core::shape::expect(WINDOWS, &vectors, &[musicot_core::shape::ANY, musicot_core::shape::ANY])?;
    Ok(vectors)
}
