//! Decoding by the most likely token, as transformers' `generate(do_sample=False)` does it.

use std::path::Path;

use musicot_core::files::read_json;
use musicot_core::tch::{Kind, Tensor, no_grad_guard};
use musicot_core::{Error as CoreError, shape, tensor};
use serde_json::{Map, Value};

use super::Llama;
use super::model::expect_padding;
use crate::causal::{CausalLm, SessionShape};
use crate::{Error, Result};

/// When greedy decoding ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GreedyOptions {
    /// Most tokens to add to each row.
    pub new_tokens: usize,
    /// Ids that end a row; when every row has ended, so has decoding.
    pub eos: Vec<i64>,
    /// Id that goes on filling a row that has ended; the first of `eos` when absent.
    pub pad: Option<i64>,
}

/// What greedy decoding added.
#[derive(Debug)]
pub struct GreedyTokens {
    /// Ids `[batch, steps]`; there may be fewer steps than asked for.
    pub tokens: Tensor,
    /// What they were chosen by, in f32: `[batch, steps, vocab]`.
    pub logits: Tensor,
}

impl Llama {
    /// Continues `ids [batch, seq]` (i64), of which the first `padding[row]` of a row stand for nothing, by the most likely tokens, with a
    /// cache.
    ///
    /// # Errors
    /// [`CoreError::Input`] for an id out of range, no new tokens, or padding that leaves a row empty; [`CoreError::Shape`] where the
    /// padding is of another batch.
    ///
    /// ```
    /// use musicot_lm::{GreedyOptions, Llama, LlamaConfig, core::{ParamStore, tch::{Device, Tensor}}};
    /// let config = LlamaConfig { vocab_size: 11, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1,
    ///     num_attention_heads: 4, num_key_value_heads: 2, ..Default::default() };
    /// let store = ParamStore::new(Device::Cpu, 0);
    /// let llama = Llama::new(&store.root(), &config)?;
    /// let ids = Tensor::from_slice(&[1_i64, 2, 3]).unsqueeze(0);
    /// let decoded = llama.greedy(&ids, &[0], &GreedyOptions { new_tokens: 5, ..Default::default() })?;
    /// assert_eq!((decoded.tokens.size(), decoded.logits.size()), (vec![1, 5], vec![1, 5, 11]));
    /// # Ok::<(), musicot_lm::Error>(())
    /// ```
    pub fn greedy(&self, ids: &Tensor, padding: &[i64], options: &GreedyOptions) -> Result<GreedyTokens> {
        let _no_grad = no_grad_guard();
        shape::expect("input ids [batch, seq]", ids, &[padding.len() as i64, shape::ANY])?;
        expect_padding(padding, ids.size()[1])?;
        if options.new_tokens == 0 {
            return Err(Error::input("new_tokens", "expected at least 1, got 0"));
        }
        let mut session = self.session(&SessionShape {
            padding: padding.to_vec(),
            // The last token is not read again.
            prefix_positions: ids.size()[1].saturating_add_unsigned(options.new_tokens as u64 - 1),
            window_positions: 0,
            reach_positions: 0,
        })?;
        let mut hidden = session.extend(&self.embed(&ids.f_to_device(self.device())?)?)?;
        let mut rows = Rows { ended: vec![false; padding.len()], options };
        let (mut tokens, mut logits) = (Vec::new(), Vec::new());
        loop {
            let step = self.logits(&hidden, 0..self.vocab_size())?.f_to_kind(Kind::Float)?;
            let next = rows.take(tensor::to_ids(&step.f_argmax(-1, false)?)?);
            let next = Tensor::f_from_slice(&next)?.f_unsqueeze(1)?;
            logits.push(step);
            tokens.push(next.shallow_clone());
            if tokens.len() == options.new_tokens || rows.ended.iter().all(|ended| *ended) {
                break;
            }
            hidden = session.extend(&self.embed(&next.f_to_device(self.device())?)?)?;
        }
        Ok(GreedyTokens { tokens: Tensor::f_cat(&tokens, 1)?, logits: Tensor::f_stack(&logits, 1)? })
    }
}

/// Which rows have ended.
struct Rows<'a> {
    ended: Vec<bool>,
    options: &'a GreedyOptions,
}

impl Rows<'_> {
    /// The chosen ids, with padding where a row had ended before.
    fn take(&mut self, mut chosen: Vec<i64>) -> Vec<i64> {
        let GreedyOptions { eos, pad, .. } = self.options;
        let pad = pad.or_else(|| eos.first().copied()).unwrap_or(0);
        for (id, ended) in chosen.iter_mut().zip(&mut self.ended) {
            if *ended {
                *id = pad;
            }
            *ended |= eos.contains(id);
        }
        chosen
    }
}

/// Keys of published files without a say in which token is the most likely, or in when decoding ends: those of sampling, of the form of
/// outputs, and lengths that the caller gives.
const HARMLESS: [&str; 21] = [
    "_from_model_config",
    "bos_token_id",
    "cache_implementation",
    "do_sample",
    "early_stopping",
    "epsilon_cutoff",
    "eta_cutoff",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_p",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict_in_generate",
    "temperature",
    "top_k",
    "top_p",
    "transformers_version",
    "typical_p",
    "use_cache",
];

/// Keys that change greedy decoding unless they have this value.
const NEUTRAL: [(&str, f64); 7] = [
    ("diversity_penalty", 0.0),
    ("min_length", 0.0),
    ("no_repeat_ngram_size", 0.0),
    ("num_beam_groups", 1.0),
    ("num_beams", 1.0),
    ("num_return_sequences", 1.0),
    ("repetition_penalty", 1.0),
];

/// transformers' `eos_token_id` where `config.json` does not have the key.
const USUAL_EOS: i64 = 2;

impl GreedyOptions {
    /// The ids that a published directory ends rows with: those of `generation_config.json` or, without that file, of `config.json`.
    ///
    /// # Errors
    /// [`CoreError::Format`] names a key that is not known here, or whose value would change greedy decoding.
    pub fn read_published(dir: impl AsRef<Path>, new_tokens: usize) -> Result<Self> {
        let path = dir.as_ref().join("generation_config.json");
        let is_own = path.is_file();
        let path = if is_own { path } else { dir.as_ref().join("config.json") };
        let mut published: Map<String, Value> = read_json(&path)?;
        if is_own {
            expect_neutral(&published).map_err(|reason| CoreError::format(&path, reason))?;
        } else {
            published.entry("eos_token_id").or_insert(USUAL_EOS.into());
        }
        let ids = |key| read_ids(&published, key).map_err(|reason| CoreError::format(&path, reason));
        Ok(Self { new_tokens, eos: ids("eos_token_id")?, pad: ids("pad_token_id")?.first().copied() })
    }
}

fn expect_neutral(published: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in published {
        let neutral = NEUTRAL.iter().find(|(name, _)| name == key).map(|(_, neutral)| *neutral);
        match neutral {
            _ if value.is_null() || HARMLESS.contains(&key.as_str()) => {}
            _ if key == "eos_token_id" || key == "pad_token_id" => {}
            Some(neutral) if value.as_f64() == Some(neutral) => {}
            Some(neutral) => return Err(format!("key `{key}`: expected {neutral}, got {value}")),
            None => return Err(format!("key `{key}` is not supported")),
        }
    }
    Ok(())
}

/// One id or a list of them; none where the key is absent or null.
fn read_ids(published: &Map<String, Value>, key: &str) -> Result<Vec<i64>, String> {
    let wrong = |value: &Value| format!("key `{key}`: expected an id or a list of ids, got {value}");
    let id = |value: &Value| value.as_i64().ok_or_else(|| wrong(value));
    match published.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(id).collect(),
        Some(value) => Ok(vec![id(value)?]),
    }
}
