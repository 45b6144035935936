//! From the tensors of a decoder to packed matrices.

use musicot_core::nn::Linear;
use musicot_core::tch::Tensor;
use musicot_core::tensor;
use musicot_kernels::{Matrix, WeightKind};

use super::layer::Affine;
use crate::Result;

/// Packs matrix after matrix through memory that it keeps: what is allocated and freed between packed weights, which stay, leaves holes in the heap.
pub(super) struct Packer {
    kind: WeightKind,
    values: Vec<f32>,
}

impl Packer {
    pub(super) fn new(kind: WeightKind) -> Self {
        Self { kind, values: Vec::new() }
    }

    pub(super) fn affine(&mut self, linears: &[&Linear]) -> Result<Affine> {
        let weights: Vec<&Tensor> = linears.iter().map(|linear| linear.weight()).collect();
        let biases: Option<Vec<&Tensor>> = linears.iter().map(|linear| linear.bias()).collect();
        let bias = biases.map(|biases| Ok::<_, crate::Error>(tensor::to_vec(&Tensor::f_cat(&biases, 0)?)?));
        Ok(Affine { matrix: self.matrix(&weights)?, bias: bias.transpose()? })
    }

    /// Weights `[rows, columns]`, one below the other.
    pub(super) fn matrix(&mut self, weights: &[&Tensor]) -> Result<Matrix> {
        self.values.clear();
        let mut rows = 0;
        for weight in weights {
            tensor::append(weight, &mut self.values)?;
            rows += weight.size2()?.0 as usize;
        }
        Ok(Matrix::new(&self.values, rows, self.values.len() / rows.max(1), self.kind)?)
    }
}
