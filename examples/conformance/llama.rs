//! `llama`: a `LlamaForCausalLM`.

use musicot::core::tch::{Device, Kind, Tensor};
use musicot::core::{shape, tensor};
use musicot::lm::{CausalLm, GreedyOptions, Llama};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    new_tokens: usize,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let ids = case.ids("input_ids")?;
    let padding = padding(case, &ids)?;
    let llama = Llama::load(&case.dir, Device::Cpu)?;
    let greedy = GreedyOptions::read_published(&case.dir, options.new_tokens)?;
    shape::expect_ids("in.input_ids", &ids, llama.vocab_size())?;
    let hidden = llama.forward_padded(&llama.embed(&ids)?, &padding)?;
    let logits = llama.logits(&hidden, 0..llama.vocab_size())?;
    let decoded = llama.greedy(&ids, &padding, &greedy)?;
    Ok(vec![
        ("logits".into(), logits),
        ("greedy_tokens".into(), decoded.tokens),
        ("greedy_logits".into(), decoded.logits),
    ])
}

/// How many positions at the start of each row stand for nothing.
fn padding(case: &Case, ids: &Tensor) -> Outcome<Vec<i64>> {
    let (rows, columns) = ids.size2()?;
    if !case.has("attention_mask") {
        return Ok(vec![0; rows as usize]);
    }
    let mask = case.ids("attention_mask")?;
    shape::expect("in.attention_mask", &mask, &[rows, columns])?;
    let seen = tensor::to_ids(&mask.f_sum_dim_intlist([1].as_slice(), false, Kind::Int64)?)?;
    let padding: Vec<i64> = seen.iter().map(|seen| columns - seen).collect();
    let column = Tensor::f_arange(columns, (Kind::Int64, Device::Cpu))?;
    let on_the_left = column.f_ge_tensor(&Tensor::f_from_slice(&padding)?.f_unsqueeze(1)?)?;
    match mask.f_equal(&on_the_left.f_to_kind(Kind::Int64)?)? {
        true => Ok(padding),
        false => Err("in.attention_mask: expected rows of zeros, then ones (padding on the left)".into()),
    }
}
