//! Encoding and decoding.

use musicot_core::ParamStore;
use musicot_core::shape::{ANY, expect, expect_ids};
use musicot_core::tch::{self, Kind, Tensor};
use musicot_rvq::{PublishedRvq, VectorQuantizer};

use super::chunks::overlap_add;
use super::layers::Network;
use super::{EncodecChunk, EncodecConfig};
use crate::conv::signal;
use crate::{Error, Result};

/// Added to the loudness of a chunk, so that silence can be divided by it.
const QUIET: f64 = 1e-8;

/// EnCodec: a waveform to a few integers per frame, and back.
///
/// Whole clips (or chunks, where the configuration cuts them) are coded in one pass, in memory that grows with them. Rows of a batch are
/// of one length: a mask over padding is not read.
///
/// ```no_run
/// use musicot_codec::core::tensor::from_array;
/// use musicot_codec::{Encodec, read_audio, resample, tch::Device};
/// let codec = Encodec::load("encodec_24khz", Device::Cpu)?; // a directory with config.json and model.safetensors
/// let song = resample(&read_audio("song.wav")?.to_mono(), codec.config().sampling_rate)?;
/// let waveform = from_array(song.samples().view(), Device::Cpu)?.unsqueeze(0); // [batch, channels, samples]
/// let chunks = codec.encode(&waveform, codec.config().levels_for(6.0)?)?;
/// println!("{:?}", chunks[0].codes.size()); // [batch, levels, frames]
/// let decoded = codec.decode(&chunks)?;
/// # Ok::<(), musicot_codec::Error>(())
/// ```
pub struct Encodec {
    config: EncodecConfig,
    store: ParamStore,
    encoder: Network,
    quantizer: PublishedRvq,
    decoder: Network,
}

impl Encodec {
    /// Joins networks, still to be loaded, and a quantiser, which must be that of the configuration.
    pub(super) fn build(
        config: &EncodecConfig,
        store: ParamStore,
        quantizer: PublishedRvq,
    ) -> musicot_core::Result<Self> {
        let found = [quantizer.levels(), quantizer.codebook_size(), quantizer.dim()].map(|size| size as i64);
        let expected = [config.levels() as i64, config.codebook_size, config.hidden_size];
        if found != expected {
            let reason =
                format!("expected levels, codewords and values {expected:?}, the file has {found:?}");
            return Err(musicot_core::Error::config("codebook_size", reason));
        }
        let encoder = Network::encoder(&store.root().sub("encoder"), config)?;
        let decoder = Network::decoder(&store.root().sub("decoder"), config)?;
        Ok(Self { config: config.clone(), store, encoder, quantizer, decoder })
    }

    /// The configuration.
    pub fn config(&self) -> &EncodecConfig {
        &self.config
    }

    /// The parameters of the networks.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// The codebooks.
    pub fn quantizer(&self) -> &PublishedRvq {
        &self.quantizer
    }

    /// A waveform `[batch, channels, samples]` to codes of the first levels, a frame for every hop that is begun: one chunk, or as many
    /// as the configuration cuts it into, the last of which may be shorter.
    ///
    /// # Errors
    /// Another shape, no samples or samples that are not finite, or not 1 to [`EncodecConfig::levels`] levels.
    pub fn encode(&self, waveform: &Tensor, levels: usize) -> Result<Vec<EncodecChunk>> {
        self.expect_levels(levels)?;
        let waveform = signal("waveform", waveform, self.config.audio_channels, &self.store)?;
        let samples = waveform.size()[2];
        let (length, step) = self.config.chunks().unwrap_or((samples, samples));
        tch::no_grad(|| {
            let mut chunks = Vec::new();
            let mut start = 0;
            while start < samples {
                let chunk = waveform.f_narrow(2, start, length.min(samples - start))?;
                chunks.push(self.encode_chunk(&chunk, levels)?);
                start += step;
            }
            Ok(chunks)
        })
    }

    fn encode_chunk(&self, chunk: &Tensor, levels: usize) -> Result<EncodecChunk> {
        let (scaled, scale) = match self.config.normalize {
            false => (chunk.shallow_clone(), None),
            true => {
                let scale = loudness(chunk)?;
                (chunk.f_div(&scale)?, Some(scale.f_flatten(0, -1)?))
            }
        };
        let vectors = self.vectors(&scaled)?;
        let codes = self.quantizer.encode(&vectors)?.f_narrow(-1, 0, levels as i64)?;
        Ok(EncodecChunk { codes: codes.f_transpose(1, 2)?.f_contiguous()?, scale })
    }

    /// What is quantised `[batch, frames, hidden]`, in f32 whatever the weights are.
    fn vectors(&self, scaled: &Tensor) -> Result<Tensor> {
        Ok(self.encoder.forward(scaled)?.f_to_kind(Kind::Float)?.f_transpose(1, 2)?)
    }

    /// Chunks, as many as [`Encodec::encode`] gave, to a waveform `[batch, channels, samples]` in the element type of the weights. It
    /// goes on to the end of the last frame, beyond the end of what was encoded by less than a hop.
    ///
    /// # Errors
    /// No chunks (or several, where clips are coded as a whole), other shapes, codes out of range, a chunk longer than the first one,
    /// or a missing scale.
    pub fn decode(&self, chunks: &[EncodecChunk]) -> Result<Tensor> {
        match (self.config.chunks(), chunks) {
            (None, [whole]) => tch::no_grad(|| self.decode_chunk(whole)),
            (Some((_, step)), [first, ..]) => {
                let longest = frames(first);
                if let Some(chunk) = chunks.iter().find(|chunk| frames(chunk) > longest) {
                    let reason = format!("expected at most {longest} frames, got {}", frames(chunk));
                    return Err(Error::input("chunks", reason));
                }
                tch::no_grad(|| {
                    let decoded: Vec<Tensor> =
                        chunks.iter().map(|chunk| self.decode_chunk(chunk)).collect::<Result<_>>()?;
                    Ok(overlap_add(&decoded, step)?)
                })
            }
            _ => Err(Error::input("chunks", format!("expected one, got {}", chunks.len()))),
        }
    }

    fn decode_chunk(&self, chunk: &EncodecChunk) -> Result<Tensor> {
        expect("codes", &chunk.codes, &[ANY, ANY, ANY])?;
        expect_ids("codes", &chunk.codes, self.config.codebook_size)?;
        let (batch, levels, frames) = chunk.codes.size3()?;
        self.expect_levels(levels as usize)?;
        if batch == 0 || frames == 0 {
            let reason = format!("expected at least one, got {:?}", chunk.codes.size());
            return Err(Error::input("codes", reason));
        }
        let codes = chunk.codes.f_to_device(self.store.device())?;
        let vectors = self.quantizer.decode(&codes.f_transpose(1, 2)?)?.f_to_kind(self.store.kind())?;
        let decoded = self.decoder.forward(&vectors.f_transpose(1, 2)?)?;
        match (&chunk.scale, self.config.normalize) {
            (None, false) => Ok(decoded),
            (Some(scale), true) => {
                expect("scale", scale, &[batch])?;
                let scale = scale.f_to_device(self.store.device())?.f_to_kind(self.store.kind())?;
                Ok(decoded.f_mul(&scale.f_reshape([-1, 1, 1])?)?)
            }
            (given, normalize) => {
                let reason =
                    format!("normalize is {normalize}, got {}", given.as_ref().map_or("none", |_| "one"));
                Err(Error::input("scale", reason))
            }
        }
    }

    fn expect_levels(&self, levels: usize) -> Result<()> {
        let all = self.config.levels();
        match (1..=all).contains(&levels) {
            true => Ok(()),
            false => Err(Error::input("levels", format!("expected 1 to {all}, got {levels}"))),
        }
    }
}

/// Of a chunk whose codes may have another shape still.
fn frames(chunk: &EncodecChunk) -> i64 {
    chunk.codes.size().last().copied().unwrap_or_default()
}

/// Root of the mean power of the channels' mean `[batch, 1, 1]`.
fn loudness(chunk: &Tensor) -> Result<Tensor> {
    let channels = chunk.size()[1] as f64;
    let mono = chunk.f_sum_dim_intlist([1].as_slice(), true, chunk.kind())?.f_div_scalar(channels)?;
    let power = mono.f_square()?.f_mean_dim([-1].as_slice(), true, chunk.kind())?;
    Ok(power.f_sqrt()?.f_add_scalar(QUIET)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use musicot_core::checkpoint::Checkpoint;
    use musicot_core::tch::Device;

    use super::*;

    /// Codes themselves cannot be compared between element types: which of two codewords is the nearer one may hang on the last bit, and
    /// every later level follows. So it is the vectors that must be close; the search among codewords is done in f32 for both.
    #[test]
    fn vectors_in_bfloat16_are_close_to_those_in_f32() {
        for name in ["causal", "centred", "replicate", "constant"] {
            let folder =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("encodec_{name}"));
            let audio = Checkpoint::open(folder.join("io.safetensors")).unwrap().tensor("in.audio").unwrap();
            let [exact, rounded] = [Kind::Float, Kind::BFloat16].map(|kind| {
                let codec = Encodec::load_as(&folder, Device::Cpu, kind).unwrap();
                tch::no_grad(|| codec.vectors(&audio.to_kind(kind))).unwrap()
            });
            let error = (&rounded - &exact).norm().double_value(&[]) / exact.norm().double_value(&[]);
            println!("{name}: relative error of the vectors in bfloat16 {error:.4}");
            assert!(error < 0.03, "{name}: {error}");
        }
    }
}
