//! Steps of training: forward, backward, clipping and AdamW.

use std::path::Path;

use musicot::core::files::read_json;
use musicot::core::nn::mixed_precision;
use musicot::core::tch::{self, Device, Kind, Tensor};
use musicot::core::train::{Method, Optimizer, Precision, TrainConfig};
use musicot::core::{Checkpoint, ParamStore};
use musicot::lm::{CausalLm, Llama, LlamaConfig};
use serde::Deserialize;

use crate::clock::Clock;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Case {
    learning_rate: f64,
    weight_decay: f64,
    clip_norm: f64,
}

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let case: Case = read_json(dir.join("case.json"))?;
    let ids = Checkpoint::open(dir.join("io.safetensors"))?.tensor("ids")?;
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let store = ParamStore::new(Device::Cpu, 0);
        let lm = Llama::new(&store.root(), &LlamaConfig::read_published(dir.join("config.json"))?)?;
        store.load_file(dir.join("model.safetensors"))?;
        let mut optimizer = Optimizer::new(&store, Method::AdamW, false)?;
        let config = TrainConfig {
            learning_rate: case.learning_rate,
            weight_decay: case.weight_decay,
            clip_norm: case.clip_norm,
            precision,
            ..TrainConfig::default()
        };
        let mut step = 0;
        clock.timed(&format!("musicot {name}"), ids.numel() as f64, || {
            tch::with_grad(|| train_step(&lm, &ids, &mut optimizer, &config, step))?;
            step += 1;
            Ok(())
        })?;
    }
    Ok(())
}

fn train_step(
    lm: &Llama,
    ids: &Tensor,
    optimizer: &mut Optimizer,
    config: &TrainConfig,
    step: u64,
) -> Outcome {
    let loss = match config.precision {
        Precision::F32 => loss(lm, ids),
        Precision::Bf16 => tch::autocast(true, || mixed_precision(|| loss(lm, ids))),
    }?;
    optimizer.backward(&loss)?;
    optimizer.step(config, step)?;
    Ok(())
}

/// Cross-entropy of each next token of `ids [rows, positions]`.
fn loss(lm: &Llama, ids: &Tensor) -> Outcome<Tensor> {
    let count = ids.size()[1];
    let hidden = lm.forward(&lm.embed(ids)?, None)?.f_narrow(1, 0, count - 1)?;
    let logits = lm.logits(&hidden, 0..lm.vocab_size())?.f_to_kind(Kind::Float)?.f_flatten(0, 1)?;
    let next = ids.f_narrow(1, 1, count - 1)?.f_reshape([-1])?;
    Ok(logits.f_cross_entropy_loss::<Tensor>(&next, None, tch::Reduction::Mean, -100, 0.0)?)
}
