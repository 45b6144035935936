//! Affine maps and embedding tables.

use tch::{Device, Kind, Tensor};

use crate::{Init, Result, Scope, shape};

/// `x W^T + b` over the last axis.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Parameters `weight [outputs, inputs]` and, with `bias`, `bias [outputs]`.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, inputs: i64, outputs: i64, bias: bool) -> Result<Self> {
        Self::with_init(scope, inputs, outputs, bias, Init::fan_in(inputs))
    }

    /// Like [`Linear::new`] with given initial weights (the bias starts at 0).
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn with_init(scope: &Scope, inputs: i64, outputs: i64, bias: bool, init: Init) -> Result<Self> {
        let weight = scope.param("weight", &[outputs, inputs], init)?;
        let bias = if bias { Some(scope.param("bias", &[outputs], Init::Const(0.0))?) } else { None };
        Ok(Self { weight, bias })
    }

    /// `[.., inputs] -> [.., outputs]`, in bfloat16 within [`super::mixed_precision`].
    ///
    /// # Errors
    /// libtorch refuses a last axis of another size.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        super::affine(x, &self.weight, self.bias.as_ref())
    }

    /// The weight `[outputs, inputs]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `[outputs]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

/// A table of vectors.
#[derive(Debug)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Parameter `weight [count, dim]`, normal with standard deviation 0.02.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, count: i64, dim: i64) -> Result<Self> {
        Ok(Self { weight: scope.table("weight", &[count, dim], Init::Normal(0.02))? })
    }

    /// Ids `[..]` (i64, below `count`) to vectors `[.., dim]`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for an id out of range or elements that are not i64.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        shape::expect_kind("embedding ids", ids, Kind::Int64)?;
        let check =
            || shape::expect_ids("embedding ids", ids, self.weight.size().first().copied().unwrap_or(0));
        // The CPU kernel checks each id by itself; on other devices one that is out of range would end the process.
        if ids.device() != Device::Cpu {
            check()?;
        }
        Tensor::f_embedding(&self.weight, ids, -1, false, false).or_else(|e| {
            check()?;
            Err(e.into())
        })
    }

    /// The table `[count, dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
