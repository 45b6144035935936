//! Timings of the embedded model's size; `cargo test -p musicot-diffusion --test speed -- --ignored --nocapture`.
#![allow(missing_docs)]

use std::time::Instant;

use musicot_core::{CounterRng, GuidanceScale};
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::{
    Condition, Denoiser, DiffusionSession, Dit, DitConfig, Sampler, SamplerConfig, Score, SessionConfig, Thoughts, frame_windows, render,
};

fn normal(seed: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(seed).normal(0, shape, Device::Cpu).unwrap()
}

#[test]
#[ignore = "prints timings"]
fn training_step() {
    let threads = std::env::var("THREADS").map_or(1, |t| t.parse().unwrap());
    tch::set_num_threads(threads);
    let model = Dit::new(DitConfig::default(), Device::Cpu, 0).unwrap();
    println!("{} parameters", model.params().count());
    for (batch, frames) in [(16, 200), (64, 50), (6, 500)] {
        let index = frame_windows(13, frames as usize, 250, 3);
        let condition = Condition {
            semantic: Some(Tensor::zeros([batch, frames], (Kind::Int64, Device::Cpu))),
            thoughts: Some(Thoughts {
                embeddings: normal(4, &[batch, 3, 128]),
                frame_windows: Tensor::from_slice(&index).expand([batch, frames], false),
            }),
            text: Some(normal(5, &[batch, 128])),
            ..Condition::default()
        };
        let (x, time) = (normal(1, &[batch, 128, frames]), Tensor::full([batch], 0.5, (Kind::Float, Device::Cpu)));
        for _ in 0..3 {
            let started = Instant::now();
            let loss = model.predict(&x, &time, &condition).unwrap().square().mean(Kind::Float);
            let forward = started.elapsed();
            loss.backward();
            println!("{batch} x {frames}: forward {forward:?}, with backward {:?}, {threads} threads", started.elapsed());
        }
    }
}

#[test]
#[ignore = "prints timings"]
fn thirty_seconds() {
    let threads = std::env::var("THREADS").map_or(1, |t| t.parse().unwrap());
    tch::set_num_threads(threads);
    let model = Dit::new(DitConfig::default(), Device::Cpu, 0).unwrap();
    let tokens = Tensor::zeros([1, 750], (Kind::Int64, Device::Cpu));
    for (steps, scale, window, prefix) in [(12, 1.0, 500, 100), (16, 1.0, 500, 100), (12, 2.0, 500, 100), (16, 2.0, 500, 100), (16, 2.0, 300, 75)] {
        let guidance = GuidanceScale::new(scale).unwrap();
        let sampler = Sampler::new(SamplerConfig { steps, guidance, ..SamplerConfig::default() }).unwrap();
        let config = SessionConfig { window_frames: window, first_window_frames: window, prefix_frames: prefix, lookahead_frames: 12 };
        let score = Score {
            thoughts: Some(normal(1, &[1, 3, 128])),
            text: Some(normal(2, &[1, 128])),
            streams: vec![CounterRng::new(1)],
        };
        let started = Instant::now();
        let session = DiffusionSession::new(&model, &sampler, config, score).unwrap();
        assert_eq!(render(session, &tokens).unwrap().size(), [1, model.latent_dim(), 750]);
        println!("30 s, {steps} steps, guidance {scale}, window {window}: {:?}, {threads} threads", started.elapsed());
    }
}
