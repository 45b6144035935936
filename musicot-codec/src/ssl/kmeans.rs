//! Hidden states to tokens.

use std::path::Path;

use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Checkpoint, Error, Init, LoadOptions, ParamStore};

use super::SslEncoder;
use crate::Result;
use crate::tokenizer::SemanticTokenizer;

/// The tensor of a file of centroids.
const CENTROIDS: &str = "centroids";

/// An encoder whose hidden states are named by the nearest of k centroids, as in HuBERT's units.
///
/// # How many tokens
/// A frame sees more samples than the hop (400 of them at a hop of 320), so that the last hops of a clip have no frame of
/// [`SslEncoder::hidden_states`], which are those of Python. [`SemanticTokenizer::tokenize`] promises a token for every hop that has begun: the
/// prepared clip gets silence behind its end until the last of these frames is whole, which makes a token or two more than
/// [`KMeansTokenizer::nearest`] of the clip's own hidden states.
///
/// The silence changes more than the last token: every frame attends to every other, and where `feat_extract_norm` is `group` the statistics of
/// the first convolution run over it too. A token changes where its frame lies about halfway between two centroids.
#[derive(Debug)]
pub struct KMeansTokenizer {
    encoder: SslEncoder,
    layer: usize,
    /// `[k, dim]`, f32.
    centroids: Tensor,
}

impl KMeansTokenizer {
    /// Tokens from hidden states of `layer` (as in [`SslEncoder::hidden_states`]) and `centroids` `[k, dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for centroids of another width; [`Error::Input`] for a layer that is not there, or centroids that are none or not finite.
    pub fn new(encoder: SslEncoder, layer: usize, centroids: &Tensor) -> Result<Self> {
        encoder.check_layer(layer)?;
        expect(CENTROIDS, centroids, &[ANY, encoder.config().hidden_size])?;
        expect_finite(CENTROIDS, centroids)?;
        if centroids.size()[0] == 0 {
            return Err(Error::input(CENTROIDS, "expected at least 1, got 0").into());
        }
        let centroids = centroids.f_detach()?.f_to_kind(Kind::Float)?;
        Ok(Self { encoder, layer, centroids })
    }

    /// Loads a published directory as [`SslEncoder::load`] does, and the tensor `centroids` `[k, dim]` of the file `kmeans.safetensors` beside it.
    ///
    /// # Errors
    /// As [`SslEncoder::load`] and [`KMeansTokenizer::new`]; [`Error::Checkpoint`] when the file has other tensors.
    pub fn load(dir: impl AsRef<Path>, layer: usize, device: Device) -> Result<Self> {
        let file = Checkpoint::open(dir.as_ref().join("kmeans.safetensors"))?;
        let encoder = SslEncoder::load(dir, device)?;
        let count = file.info(CENTROIDS).and_then(|info| info.shape.first().copied()).unwrap_or(1);
        let store = ParamStore::for_loading(device, Kind::Float);
        let shape = [count, encoder.config().hidden_size];
        let centroids = store.root().param(CENTROIDS, &shape, Init::Const(0.0))?;
        store.load(&file, &LoadOptions::default())?;
        Self::new(encoder, layer, &centroids)
    }

    /// The encoder.
    pub fn encoder(&self) -> &SslEncoder {
        &self.encoder
    }

    /// The layer whose hidden states are named.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// Hidden states `[batch, frames, dim]` to the indices of the nearest centroids `[batch, frames]` (i64), in f32.
    ///
    /// # Errors
    /// [`Error::Shape`] for other axes; [`Error::Input`] for values that are not finite.
    pub fn nearest(&self, hidden: &Tensor) -> Result<Tensor> {
        expect("hidden", hidden, &[ANY, ANY, self.encoder.config().hidden_size])?;
        expect_finite("hidden", hidden)?;
        let (hidden, centroids) = (hidden.f_to_kind(Kind::Float)?, &self.centroids);
        let squares = |x: &Tensor, keep| -> Result<Tensor> {
            Ok(x.f_square()?.f_sum_dim_intlist([-1].as_slice(), keep, None)?)
        };
        let products = hidden.f_matmul(&centroids.f_transpose(0, 1)?)?.f_mul_scalar(2.0)?;
        let distances = squares(&hidden, true)?.f_sub(&products)?.f_add(&squares(centroids, false)?)?;
        Ok(distances.f_argmin(-1, false)?)
    }
}

impl SemanticTokenizer for KMeansTokenizer {
    fn sample_rate_hz(&self) -> u32 {
        self.encoder.sample_rate_hz()
    }

    fn hop_frames(&self) -> i64 {
        self.encoder.hop()
    }

    fn vocabulary_size(&self) -> i64 {
        self.centroids.size()[0]
    }

    fn tokenize(&self, samples: &Tensor) -> Result<Tensor> {
        let prepared = self.encoder.prepare(samples)?;
        let (batch, length) = prepared.size2()?;
        if length == 0 {
            return Ok(Tensor::f_zeros([batch, 0], (Kind::Int64, prepared.device()))?);
        }
        let (hop, field) = (self.encoder.hop(), self.encoder.config().receptive_field());
        let tokens = (length - 1) / hop + 1;
        let missing = (hop * (tokens - 1) + field - length).max(0);
        tch::no_grad(|| {
            let padded = prepared.f_constant_pad_nd([0, missing])?;
            self.nearest(&self.encoder.encode(&padded, self.layer)?)
        })
    }
}
