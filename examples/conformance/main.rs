//! A checkpoint of anybody's, run on given inputs: the outputs are written for a comparison with another implementation.

mod case;
mod clap;
#[path = "../common/mod.rs"]
mod common;
mod dac;
mod encodec;
mod llama;
mod oobleck;
mod rvq;
mod sa_dit;
mod sampling;
mod semantic;
mod solver;
mod vocos;

use std::path::PathBuf;
use std::process::ExitCode;

use case::Case;
use common::{Outcome, say};
use musicot::core::checkpoint::{self, Storage};
use musicot::core::tch::{Tensor, no_grad_guard};

const HELP: &str = "\
Runs a published checkpoint on given inputs and writes what comes out, to be compared with another implementation.

Usage: conformance CASE_DIR --out FILE

  conformance cases/tiny_llama --out pred.safetensors
  conformance musicot-lm/tests/golden/llama_gqa     one of this repository's own cases

CASE_DIR holds the checkpoint's own files as published, case.json ({\"kind\": ..., and the kind's options}) and io.safetensors with tensors
`in.NAME`. FILE gets a tensor `out.NAME` for every output: f32, or i64 for ids and codes.

clap       a ClapModel; options: texts, max_length [the longest text's], quantize [false]: round samples as the original code does
           in:  wav.0, wav.1, .. [samples] at the checkpoint's rate; for a clip longer than the window offset.i: the sample at which its window
                starts, or with fusion three frames; is_longer.i [found]: whether to fuse the clip's pictures
           out: mel.i [pictures, frames, bands], text_ids [texts, max_length], audio_embeds [clips, dim], text_embeds [texts, dim] (unit norm),
                logits_per_audio [clips, texts]
clap_laion the same for a checkpoint of the original code (a file of any name), with RoBERTa's tokenizer beside it; max_length [77]
dac        a directory with transformers' config.json, or with Descript's weights.pth; options: levels [all]
           in:  audio [batch, 1, samples], padded with silence to whole frames
           out: codes [batch, levels, frames], decoded [batch, 1, samples] from them, not longer than audio
encodec    options: levels [all]
           in:  audio [batch, channels, samples]
           out: codes [batch, levels, frames], or where the configuration has chunks [chunks, batch, levels, frames] (a short last one
                filled up with zeros); decoded [batch, channels, samples] from them, as long as audio
llama      options: new_tokens
           in:  input_ids [batch, seq]; attention_mask [batch, seq] where rows are padded on the left
           out: logits [batch, seq, vocab], greedy_tokens [batch, steps], greedy_logits [batch, steps, vocab]
oobleck    an AutoencoderOobleck of diffusers, or a directory of stable-audio-tools; may lie in the case's folder `vae`
           in:  audio [batch, channels, samples], latents [batch, latent_dim, frames]
           out: mean, std [batch, latent_dim, frames] of audio; decoded [batch, channels, samples] of latents
rvq        codebooks of vector-quantize-pytorch or EnCodec, in a file of any name; options: levels [all], prefix of the names [found]
           in:  x [.., dim]; or [batch, dim, frames], which EnCodec's codebooks get where both fit
           out: codes [.., levels], quantized [.., dim]; or [levels, batch, frames], [batch, dim, frames]
sa_dit     Stable Audio's transformer in the layout of diffusers, sa_dit_original in that of stable-audio-tools: each may be either;
           may lie in the case's folder `transformer`
           in:  latents [batch, channels, frames], timestep [batch], text [batch, seq, dim], global [batch, dim];
                text_mask [batch, seq] of 0 and 1 where not all of the text is attended to
           out: sample [batch, channels, frames]
sampling   options: chain, in order: [{\"temperature\": 0.75}, {\"top_k\": 40}, ...] of
                    temperature, top_k, top_p, min_p, repetition_penalty, guidance
           in:  logits [batch, vocab]; input_ids [batch, seq] for repetition_penalty; null_logits for guidance
           out: logits, probs [batch, vocab]
semantic   a wav2vec 2.0, HuBERT or MERT encoder, and kmeans.safetensors with `centroids` [k, dim]; options: layer, as in the list
           hidden_states of transformers 5 (without the norm behind the last layer)
           in:  wav [batch, samples] or [samples], at the checkpoint's rate
           out: hidden [batch, frames, dim], tokens [batch, frames]
solver     scheduler_config.json of diffusers; options: steps, mu, sigmas
           in:  sample, the initial noise as the first step gets it (scaled already); noise.k for step k where one adds noise;
                toy_w: the model returns toy_w x for the scaled sample x; a square one acts on the channels (second axis) where it has
                as many rows, else on the last axis; any other elementwise
           out: sigmas [steps + 1], timesteps [steps], sample.k after step k
vocos      in:  audio [batch, samples], or mel [batch, mels, frames] in its place
           out: mel, decoded [batch, samples]

  --out FILE      where the outputs go [out/conformance.safetensors]
  --threads N     threads of libtorch [2, or as many as the machine has]
";

/// Named outputs of a kind.
type Outputs = Vec<(String, Tensor)>;

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut out, mut threads) = (PathBuf::from("out/conformance.safetensors"), None);
    let words = common::words(HELP, |name, args| {
        match name {
            "out" => out = args.value()?.into(),
            "threads" => threads = Some(common::positive(lexopt::ValueExt::parse(&args.value()?)?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    common::set_threads(threads, 2);
    let _no_grad = no_grad_guard();
    let case = Case::open(common::one(words, "one directory of a case")?)?;
    let outputs = match case.kind() {
        "clap" | "clap_laion" => clap::run(&case)?,
        "dac" => dac::run(&case)?,
        "encodec" => encodec::run(&case)?,
        "llama" => llama::run(&case)?,
        "oobleck" => oobleck::run(&case)?,
        "rvq" => rvq::run(&case)?,
        "sa_dit" | "sa_dit_original" => sa_dit::run(&case)?,
        "sampling" => sampling::run(&case)?,
        "semantic" => semantic::run(&case)?,
        "solver" => solver::run(&case)?,
        "vocos" => vocos::run(&case)?,
        other => {
            return Err(case.broken(&format!(
                "kind `{other}` is not known, only clap, clap_laion, dac, encodec, llama, oobleck, rvq, sa_dit, sa_dit_original, sampling, semantic, solver, vocos"
            )));
        }
    };
    let named: Vec<(String, Tensor)> =
        outputs.into_iter().map(|(name, tensor)| (format!("out.{name}"), tensor)).collect();
    checkpoint::write(&out, &named, Storage::Native)?;
    for (name, tensor) in &named {
        say(format_args!("{name} {:?} {:?}", tensor.kind(), tensor.size()))?;
    }
    say(out.display())
}
