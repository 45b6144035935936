//! Decoding latents block by block: the network sees each block with as much context as it can use.

use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Kind, Tensor};

use super::SpectralCodec;
use super::phase::BlockSynthesis;
use crate::Result;
use crate::codec::DecodeSession;

/// Fewest and most latents decoded at a time.
const BLOCK: (i64, i64) = (25, 100);

/// Latents of the block at a position: as many as came before. The first ones are short, so that a stream begins soon, and the later ones
/// long, because the network reads the context of a block once more. The partition is fixed by position, not by how the caller cuts, so that
/// streaming equals whole.
fn block(position: i64) -> i64 {
    position.clamp(BLOCK.0, BLOCK.1)
}

pub(super) struct Session<'a> {
    codec: &'a SpectralCodec,
    synthesis: BlockSynthesis<'a>,
    /// Latents from `start` on: context of the next block, the block, and what lies ahead.
    pending: Tensor,
    /// Position of the first pending latent.
    start: i64,
    /// Position of the next block.
    next: i64,
    batch: i64,
}

impl<'a> Session<'a> {
    pub fn new(codec: &'a SpectralCodec, batch: i64) -> Result<Self> {
        let synthesis = BlockSynthesis::new(codec.magnitudes(), codec.config().rounds, batch as usize)?;
        Ok(Self { codec, synthesis, pending: empty(codec, batch), start: 0, next: 0, batch })
    }

    /// Position after the last pending latent.
    fn end(&self) -> i64 {
        self.start + self.pending.size()[2]
    }

    /// Magnitudes of the latents `next..to`, and forgets what is no longer context.
    fn magnitudes(&mut self, to: i64) -> Result<Tensor> {
        let (reach, n) = (self.codec.config().decoder().reach(), self.codec.config().frames_per_latent);
        let from = (self.next - reach).max(0);
        let until = (to + reach).min(self.end());
        let context = self.pending.f_narrow(2, from - self.start, until - from)?;
        let decoded = self.codec.to_magnitudes(&context)?;
        let block = decoded.f_narrow(2, (self.next - from) * n, (to - self.next) * n)?;
        self.next = to;
        let keep_from = (to - reach).max(0);
        self.pending = self.pending.f_narrow(2, keep_from - self.start, self.end() - keep_from)?;
        self.start = keep_from;
        Ok(block)
    }
}

fn empty(codec: &SpectralCodec, batch: i64) -> Tensor {
    Tensor::zeros([batch, codec.config().latent_dim, 0], (Kind::Float, codec.params().device()))
}

impl DecodeSession for Session<'_> {
    fn push(&mut self, latents: &Tensor) -> Result<Tensor> {
        expect("latents", latents, &[self.batch, self.codec.config().latent_dim, ANY])?;
        expect_finite("latents", latents)?;
        tch::no_grad(|| {
            self.pending = Tensor::f_cat(&[&self.pending, latents], 2)?;
            let reach = self.codec.config().decoder().reach();
            let mut audio = vec![Tensor::f_zeros([self.batch, 0], (Kind::Float, latents.device()))?];
            while self.end() >= self.next + block(self.next) + reach {
                let block = self.magnitudes(self.next + block(self.next))?;
                audio.push(self.synthesis.push(&block)?);
            }
            Ok(Tensor::f_cat(&audio, 1)?.f_unsqueeze(1)?)
        })
    }

    fn finish(&mut self) -> Result<Tensor> {
        tch::no_grad(|| {
            let mut audio = Vec::new();
            while self.next < self.end() {
                let block = self.magnitudes((self.next + block(self.next)).min(self.end()))?;
                audio.push(self.synthesis.push(&block)?);
            }
            audio.push(self.synthesis.finish()?);
            (self.pending, self.start, self.next) = (empty(self.codec, self.batch), 0, 0);
            Ok(Tensor::f_cat(&audio, 1)?.f_unsqueeze(1)?)
        })
    }
}
