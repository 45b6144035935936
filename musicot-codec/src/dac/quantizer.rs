//! Quantisation by direction: each level projects what is left to a few values, and takes the codeword of the closest direction.

use musicot_core::nn::{Conv1d, Conv1dConfig};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Init, Result, Scope};

use super::DacConfig;

/// Keeps the direction of a vector of zeros finite.
const TINY: f64 = 1e-12;

/// All levels.
#[derive(Debug)]
pub(super) struct Quantizer(Vec<Level>);

#[derive(Debug)]
struct Level {
    input: Conv1d,
    output: Conv1d,
    /// `[codebook_size, codebook_dim]`.
    codebook: Tensor,
}

impl Quantizer {
    pub fn new(scope: &Scope, config: &DacConfig) -> Result<Self> {
        let level = |level| Level::new(&scope.sub("quantizers").sub(level), config);
        Ok(Self((0..config.n_codebooks).map(level).collect::<Result<_>>()?))
    }

    /// `[batch, hidden, frames]` to codes of the first levels `[batch, levels, frames]`.
    pub fn encode(&self, hidden: &Tensor, levels: usize) -> Result<Tensor> {
        let mut rest = hidden.shallow_clone();
        let mut codes = Vec::with_capacity(levels);
        for level in self.0.iter().take(levels) {
            let projected = level.input.forward(&rest)?;
            let chosen = level.search(&projected)?;
            // Not the codeword itself: the reference's gradients pass straight through this sum, and its rounding is in the rest.
            let quantized = projected.f_add(&level.codewords(&chosen)?.f_sub(&projected)?)?;
            rest = rest.f_sub(&level.output.forward(&quantized)?)?;
            codes.push(chosen);
        }
        Ok(Tensor::f_stack(&codes, 1)?)
    }

    /// Codes `[batch, levels, frames]`, in range, to `[batch, hidden, frames]`.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let mut sum = None;
        for (index, level) in (0..codes.size()[1]).zip(&self.0) {
            let part = level.output.forward(&level.codewords(&codes.f_select(1, index)?)?)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => part.f_add(&sum)?,
            });
        }
        sum.ok_or_else(|| musicot_core::Error::input("codes", "hold no level"))
    }
}

impl Level {
    fn new(scope: &Scope, config: &DacConfig) -> Result<Self> {
        let (hidden, dim) = (config.hidden_size, config.codebook_dim);
        let shape = [config.codebook_size, dim];
        Ok(Self {
            input: Conv1d::new(&scope.sub("in_proj"), Conv1dConfig::same(hidden, dim, 1))?,
            output: Conv1d::new(&scope.sub("out_proj"), Conv1dConfig::same(dim, hidden, 1))?,
            codebook: scope.sub("codebook").param("weight", &shape, Init::Normal(1.0))?,
        })
    }

    /// `[batch, dim, frames]` to the codewords of the closest directions `[batch, frames]`, in f32 whatever the weights are.
    fn search(&self, projected: &Tensor) -> Result<Tensor> {
        let vectors = unit(&projected.f_to_kind(Kind::Float)?.f_transpose(1, 2)?)?;
        let codebook = unit(&self.codebook.f_to_kind(Kind::Float)?)?;
        Ok(vectors.f_matmul(&codebook.f_transpose(0, 1)?)?.f_argmax(-1, false)?)
    }

    /// Codes `[batch, frames]` to codewords as they are `[batch, dim, frames]`.
    fn codewords(&self, codes: &Tensor) -> Result<Tensor> {
        Ok(Tensor::f_embedding(&self.codebook, codes, -1, false, false)?.f_transpose(1, 2)?)
    }
}

/// Vectors along the last axis divided by their length.
fn unit(vectors: &Tensor) -> Result<Tensor> {
    let length = vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?.f_sqrt()?;
    Ok(vectors.f_div(&length.f_clamp_min(TINY)?)?)
}
