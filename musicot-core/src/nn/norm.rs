//! Normalisation over the last axis.

use tch::Tensor;

use crate::{Init, Result, Scope};

/// Layer normalisation with weight and bias.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Parameters `weight [dim]` and `bias [dim]`.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, dim: i64, eps: f64) -> Result<Self> {
        let weight = scope.param("weight", &[dim], Init::Const(1.0))?;
        Ok(Self { weight, bias: scope.param("bias", &[dim], Init::Const(0.0))?, eps })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// libtorch refuses a last axis of another size.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, true)?)
    }
}

/// Root-mean-square normalisation (Zhang and Sennrich, 2019), as in LLaMA.
#[derive(Debug)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Parameter `weight [dim]`.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, dim: i64, eps: f64) -> Result<Self> {
        Ok(Self { weight: scope.param("weight", &[dim], Init::Const(1.0))?, eps })
    }

    /// `[.., dim] -> [.., dim]`.
    ///
    /// # Errors
    /// libtorch refuses a last axis of another size.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_rms_norm(self.weight.size(), Some(&self.weight), self.eps)?)
    }

    /// The weight `[dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
