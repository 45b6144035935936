//! The gated feed-forward network of LLaMA (Shazeer, 2020).

use tch::Tensor;

use super::Linear;
use crate::{Result, Scope};

/// `down(silu(gate(x)) * up(x))`.
#[derive(Debug)]
pub struct SwiGlu {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl SwiGlu {
    /// Parameters `gate_proj`, `up_proj` `[hidden, dim]` and `down_proj` `[dim, hidden]`, no bias.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, dim: i64, hidden: i64) -> Result<Self> {
        Ok(Self {
            gate: Linear::new(&scope.sub("gate_proj"), dim, hidden, false)?,
            up: Linear::new(&scope.sub("up_proj"), dim, hidden, false)?,
            down: Linear::new(&scope.sub("down_proj"), hidden, dim, false)?,
        })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// libtorch refuses a last axis of another size.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.gate.forward(x)?.f_silu()?.f_mul(&self.up.forward(x)?)?)
    }
}
