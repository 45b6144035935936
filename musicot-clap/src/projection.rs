//! From a tower to the joint space.

use musicot_core::nn::Linear;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Result, Scope};

use crate::activation::Activation;
use crate::similarity::unit;

/// `linear1`, an activation, `linear2`, then length 1.
#[derive(Debug)]
pub(crate) struct Projection {
    linear1: Linear,
    linear2: Linear,
    activation: Activation,
}

impl Projection {
    pub(crate) fn new(scope: &Scope, inputs: i64, dim: i64, activation: Activation) -> Result<Self> {
        Ok(Self {
            linear1: Linear::new(&scope.sub("linear1"), inputs, dim, true)?,
            linear2: Linear::new(&scope.sub("linear2"), dim, dim, true)?,
            activation,
        })
    }

    /// `[batch, inputs] -> [batch, dim]`, f32 at least.
    pub(crate) fn forward(&self, pooled: &Tensor) -> Result<Tensor> {
        let projected = self.linear2.forward(&self.activation.apply(&self.linear1.forward(pooled)?)?)?;
        let kind = if projected.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        unit(&projected.f_to_kind(kind)?)
    }
}
