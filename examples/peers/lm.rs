//! Steps of decoding.

use std::path::Path;
use std::time::Instant;

use musicot::core::files::read_json;
use musicot::core::tch::{Device, Kind, Tensor};
use musicot::lm::{CausalLm, FastLlama, SessionShape, WeightKind};
use serde::Deserialize;

use crate::clock::Clock;
use crate::common::Outcome;
use crate::memory;

/// First steps of a round, which are not counted.
const WARM_UP: i64 = 5;

/// Weights of so many bytes are read from memory in every step.
const NO_CACHE_HOLDS: usize = 256 << 20;

#[derive(Deserialize)]
struct Case {
    rows: i64,
    /// Positions before the first step.
    context: i64,
    steps: i64,
}

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let case: Case = read_json(dir.join("case.json"))?;
    for kind in WeightKind::ALL {
        let lm = FastLlama::load(dir, kind)?;
        clock.rounds(&format!("musicot {}", kind.name()), || round(&lm, &case))?;
        if lm.packed_bytes() > NO_CACHE_HOLDS {
            memory::run(&format!("memory, the weights in {}", kind.name()), lm.packed_bytes(), clock)?;
        }
    }
    Ok(())
}

/// Greedy decoding with a cache that holds all positions; the seconds of each step.
fn round(lm: &dyn CausalLm, case: &Case) -> Outcome<Vec<f64>> {
    let (rows, context) = (case.rows, case.context);
    let shape = SessionShape {
        padding: vec![0; rows as usize],
        prefix_positions: context + case.steps,
        window_positions: 0,
        reach_positions: 0,
    };
    let mut session = lm.session(&shape)?;
    let ids = Tensor::f_arange(rows * context, (Kind::Int64, Device::Cpu))?
        .f_remainder(lm.vocab_size())?
        .f_reshape([rows, context])?;
    let mut hidden = session.extend(&lm.embed(&ids)?)?;
    let mut secs = Vec::with_capacity(case.steps as usize);
    for step in 0..case.steps {
        let started = Instant::now();
        let token = lm.logits(&hidden, 0..lm.vocab_size())?.f_argmax(-1, true)?;
        hidden = session.extend(&lm.embed(&token)?)?;
        if step >= WARM_UP {
            secs.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(secs)
}
