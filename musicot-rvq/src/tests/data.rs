//! Vectors to test with.

use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{CounterRng, ParamStore};

use crate::{Metric, ResidualVq, RvqConfig};

/// Normal vectors `[rows, dim]`.
pub fn normal(seed: u64, rows: i64, dim: i64) -> Tensor {
    tch::set_num_threads(1);
    CounterRng::new(seed).stage("test").normal(0, &[rows, dim], Device::Cpu).unwrap()
}

/// Vectors `[rows, dim]` of whole numbers from -4 to 4: all products and sums are exact in f32, so that ties are real.
pub fn whole(seed: u64, rows: i64, dim: i64) -> Tensor {
    (normal(seed, rows, dim) * 1.5).round().clamp(-4.0, 4.0)
}

/// Clustered vectors `[rows, dim]`: `clusters` centres, noise a tenth as wide.
#[cfg(feature = "train")]
pub fn clustered(seed: u64, rows: i64, dim: i64, clusters: i64) -> Tensor {
    let centres = normal(seed, clusters, dim);
    let index = Tensor::arange(rows, (Kind::Int64, Device::Cpu)).remainder(clusters);
    centres.index_select(0, &index) + normal(seed + 1, rows, dim) * 0.1
}

pub fn config(dim: usize, levels: usize, codebook_size: usize) -> RvqConfig {
    RvqConfig { dim, levels, codebook_size, ..Default::default() }
}

/// A greedy quantiser with the given codebooks `[size, dim]`.
pub fn with_codebooks(codebooks: &[Tensor], metric: Metric) -> ResidualVq {
    with_beam(codebooks, metric, 1)
}

/// A quantiser with the given codebooks `[size, dim]` and beam.
pub fn with_beam(codebooks: &[Tensor], metric: Metric, beam: usize) -> ResidualVq {
    let size = codebooks[0].size();
    let config = RvqConfig { metric, beam, ..config(size[1] as usize, codebooks.len(), size[0] as usize) };
    let rvq = ResidualVq::new(&ParamStore::for_loading(Device::Cpu, Kind::Float).root(), &config).unwrap();
    for (target, source) in rvq.codebooks().iter().zip(codebooks) {
        target.shallow_clone().copy_(source);
    }
    rvq
}

/// A tensor `[rows, width]` as rows of f64.
pub fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let values = musicot_core::tensor::to_vec(tensor).unwrap();
    let width = tensor.size()[1] as usize;
    values.chunks_exact(width).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
}

pub fn ids(tensor: &Tensor) -> Vec<i64> {
    musicot_core::tensor::to_ids(tensor).unwrap()
}
