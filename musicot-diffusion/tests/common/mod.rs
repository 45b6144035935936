//! Small models and conditions for the tests.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use musicot_core::CounterRng;
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::{Condition, Dit, DitConfig, Objective, Score, Thoughts, frame_windows};

pub fn config(objective: Objective) -> DitConfig {
    DitConfig {
        latent_dim: 6,
        frames_per_thought: 20.0,
        max_frames: 40,
        semantic_vocab: 11,
        semantic_dim: 8,
        semantic_kernel: 3,
        thought_dim: 5,
        text_dim: 7,
        width: 16,
        depth: 2,
        heads: 2,
        ffn_mult: 2.0,
        time_dim: 8,
        objective,
        ..DitConfig::default()
    }
}

/// A fresh model is the zero function, which would satisfy most laws; this one depends on all its inputs.
pub fn model(objective: Objective, seed: u64) -> Dit {
    shaken(config(objective), seed)
}

/// Like [`model`], of other sizes with latents of 6 values.
pub fn shaken(config: DitConfig, seed: u64) -> Dit {
    tch::set_num_threads(1);
    let model = Dit::new(config, Device::Cpu, seed).unwrap();
    tch::no_grad(|| {
        for (name, mut tensor) in model.params().trainable() {
            let noise = CounterRng::new(seed)
                .stage("shake")
                .stage(&name)
                .normal(0, &tensor.size(), Device::Cpu)
                .unwrap();
            let _ = tensor.f_add_(&(noise * 0.15)).unwrap();
        }
    });
    let mut model = model;
    let mean = Tensor::from_slice(&[0.5_f32, -1.0, 0.0, 2.0, 0.1, 0.2]);
    let deviation = Tensor::from_slice(&[1.0_f32, 2.0, 0.5, 3.0, 1.0, 0.7]);
    model.set_latent_statistics(&mean, &deviation).unwrap();
    model
}

pub fn normal(seed: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(seed).normal(0, shape, Device::Cpu).unwrap()
}

pub fn tokens(seed: u64, batch: i64, frames: i64) -> Tensor {
    (CounterRng::new(seed).uniform(0, &[batch, frames], Device::Cpu).unwrap() * 11.0).to_kind(Kind::Int64)
}

pub fn condition(batch: i64, frames: i64) -> Condition {
    let index = frame_windows(13, frames as usize, 20.0, 3);
    Condition {
        semantic: Some(tokens(3, batch, frames)),
        thoughts: Some(Thoughts {
            embeddings: normal(4, &[batch, 3, 5]),
            frame_windows: Tensor::from_slice(&index).expand([batch, frames], false),
        }),
        text: Some(normal(5, &[batch, 7])),
        ..Condition::default()
    }
}

pub fn score(batch: i64) -> Score {
    Score {
        thoughts: Some(normal(6, &[batch, 4, 5])),
        text: Some(normal(7, &[batch, 7])),
        streams: (0..batch as u64).map(|item| CounterRng::new(9).item(item)).collect(),
    }
}

pub fn item(tensor: &Tensor, index: i64) -> Tensor {
    tensor.narrow(0, index, 1)
}
