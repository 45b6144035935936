//! Decoding latents block by block, each with the context on which its samples depend.

use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Tensor};

use super::Oobleck;
use super::model::BLOCK;
use crate::Result;
use crate::codec::{AudioCodec, DecodeSession};

pub(super) struct Session<'a> {
    codec: &'a Oobleck,
    /// Latents from `start` on: context of the next block, the block, and what lies ahead.
    pending: Tensor,
    /// Position of the first pending latent.
    start: i64,
    /// Position of the next block.
    next: i64,
    batch: i64,
}

impl<'a> Session<'a> {
    pub fn new(codec: &'a Oobleck, batch: i64) -> Self {
        let pending = nothing(codec, batch, codec.latent_dim());
        Self { codec, pending, start: 0, next: 0, batch }
    }

    /// Position after the last pending latent.
    fn end(&self) -> i64 {
        self.start + self.pending.size()[2]
    }

    /// Samples of the latents `next..to`; forgets what is no longer context.
    fn block(&mut self, to: i64) -> Result<Tensor> {
        let (reach, hop) = (self.codec.decoder_reach(), self.codec.hop_frames());
        let until = (to + reach).min(self.end());
        let context = self.pending.f_narrow(2, 0, until - self.start)?;
        let decoded = self.codec.to_waveform(&context)?;
        // What odd ratios lack at the end of a pass lies within context, except at the end of the song.
        let lacking = (until - self.start) * hop - decoded.size()[2];
        let whole = decoded.f_constant_pad_nd([0, lacking])?;
        let block = whole.f_narrow(2, (self.next - self.start) * hop, (to - self.next) * hop)?;
        let keep_from = (to - reach).max(0);
        self.pending = self.pending.f_narrow(2, keep_from - self.start, self.end() - keep_from)?;
        (self.start, self.next) = (keep_from, to);
        Ok(block)
    }

    fn join(&self, mut blocks: Vec<Tensor>) -> Result<Tensor> {
        blocks.insert(0, nothing(self.codec, self.batch, self.codec.channels()));
        Ok(Tensor::f_cat(&blocks, 2)?)
    }
}

/// `[batch, channels, 0]`.
fn nothing(codec: &Oobleck, batch: i64, channels: i64) -> Tensor {
    Tensor::zeros([batch, channels, 0], (codec.params().kind(), codec.params().device()))
}

impl DecodeSession for Session<'_> {
    fn push(&mut self, latents: &Tensor) -> Result<Tensor> {
        expect("latents", latents, &[self.batch, self.codec.latent_dim(), ANY])?;
        expect_finite("latents", latents)?;
        tch::no_grad(|| {
            let latents = latents.f_to_device(self.pending.device())?.f_to_kind(self.pending.kind())?;
            self.pending = Tensor::f_cat(&[&self.pending, &latents], 2)?;
            let mut blocks = Vec::new();
            while self.end() >= self.next + BLOCK + self.codec.decoder_reach() {
                blocks.push(self.block(self.next + BLOCK)?);
            }
            self.join(blocks)
        })
    }

    fn finish(&mut self) -> Result<Tensor> {
        tch::no_grad(|| {
            let mut blocks = Vec::new();
            while self.next < self.end() {
                blocks.push(self.block((self.next + BLOCK).min(self.end()))?);
            }
            self.pending = nothing(self.codec, self.batch, self.codec.latent_dim());
            (self.start, self.next) = (0, 0);
            self.join(blocks)
        })
    }
}
