//! The gated feed-forward network of LLaMA (Shazeer, 2020).

use tch::Tensor;

use super::Linear;
use crate::{Init, Result, Scope};

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
        Self::with_init(scope, dim, hidden, false, Init::fan_in(dim), Init::fan_in(hidden))
    }

    /// Like [`SwiGlu::new`], with `bias` one for each matrix, and with given initial weights of the two matrices that read and of the one
    /// that writes.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn with_init(
        scope: &Scope,
        dim: i64,
        hidden: i64,
        bias: bool,
        read: Init,
        write: Init,
    ) -> Result<Self> {
        Ok(Self {
            gate: Linear::with_init(&scope.sub("gate_proj"), dim, hidden, bias, read)?,
            up: Linear::with_init(&scope.sub("up_proj"), dim, hidden, bias, read)?,
            down: Linear::with_init(&scope.sub("down_proj"), hidden, dim, bias, write)?,
        })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// libtorch refuses a last axis of another size.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.gate.forward(x)?.f_silu()?.f_mul(&self.up.forward(x)?)?)
    }

    /// The map whose result opens or closes the gate.
    pub fn gate(&self) -> &Linear {
        &self.gate
    }

    /// The map whose result passes the gate.
    pub fn up(&self) -> &Linear {
        &self.up
    }

    /// The map back to the width of the input.
    pub fn down(&self) -> &Linear {
        &self.down
    }
}
