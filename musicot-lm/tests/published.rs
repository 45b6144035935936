//! Agreement with transformers' `LlamaForCausalLM` on directories in the published layout; the fixtures are made by
//! `tests/reference/llama.py`, which also measures how far the reference in f32 is from itself in f64.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::{Checkpoint, Storage, checkpoint, files, tensor};
use musicot_lm::{CausalLm, GreedyOptions, Llama, LlamaConfig, RopeScaling, SessionShape};
use serde_json::{Map, Value};

/// Deviations allowed, in units of the reference's own f32 noise.
const NOISES: f64 = 10.0;

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("llama_{case}"))
}

/// One directory and what the reference says about it.
struct Case {
    name: String,
    llama: Llama,
    ids: Tensor,
    padding: Vec<i64>,
    golden: Checkpoint,
}

impl Case {
    fn open(name: &str) -> Self {
        set_num_threads(1);
        let folder = folder(name);
        let inputs = Checkpoint::open(folder.join("io.safetensors")).unwrap();
        let ids = inputs.tensor("in.input_ids").unwrap();
        let padding = match inputs.info("in.attention_mask") {
            None => vec![0; ids.size()[0] as usize],
            Some(_) => {
                let mask = inputs.tensor("in.attention_mask").unwrap();
                tensor::to_ids(&(ids.size()[1] - mask.sum_dim_intlist([1].as_slice(), false, Kind::Int64)))
                    .unwrap()
            }
        };
        Self {
            name: name.to_owned(),
            llama: Llama::load(&folder, Device::Cpu).unwrap(),
            ids,
            padding,
            golden: Checkpoint::open(folder.join("golden.safetensors")).unwrap(),
        }
    }

    fn golden(&self, name: &str) -> Tensor {
        self.golden.tensor(name).unwrap()
    }

    fn options(&self) -> GreedyOptions {
        let case: Map<String, Value> = files::read_json(folder(&self.name).join("case.json")).unwrap();
        let new_tokens = case["new_tokens"].as_u64().unwrap() as usize;
        GreedyOptions::read_published(folder(&self.name), new_tokens).unwrap()
    }

    /// `[batch, seq, vocab]`, without padded positions as in the golden file.
    fn logits(&self, llama: &Llama) -> Tensor {
        let hidden = llama.forward_padded(&llama.embed(&self.ids).unwrap(), &self.padding).unwrap();
        let logits = llama.logits(&hidden, 0..llama.vocab_size()).unwrap();
        let column = Tensor::arange(self.ids.size()[1], (Kind::Int64, Device::Cpu));
        logits * column.ge_tensor(&Tensor::from_slice(&self.padding).unsqueeze(1)).unsqueeze(-1)
    }

    /// The largest deviation of `actual` from `out.NAME`, in units of `noise.NAME`.
    fn deviation(&self, name: &str, actual: &Tensor) -> f64 {
        let expected = self.golden(&format!("out.{name}"));
        largest_difference(actual, &expected) / self.golden(&format!("noise.{name}")).double_value(&[])
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

fn agrees(name: &str) {
    let case = Case::open(name);
    let deviation = case.deviation("logits", &case.logits(&case.llama));
    assert!(deviation <= NOISES, "{name}: logits are {deviation} noises off");
    let decoded = case.llama.greedy(&case.ids, &case.padding, &case.options()).unwrap();
    assert_eq!(decoded.tokens, case.golden("out.greedy_tokens"), "{name}");
    let greedy = case.deviation("greedy_logits", &decoded.logits);
    assert!(greedy <= NOISES, "{name}: logits of the cached decode are {greedy} noises off");
    println!("{name}: {deviation:.2} and {greedy:.2} noises");
}

#[test]
fn grouped_queries() {
    agrees("gqa");
}

#[test]
fn tied_embeddings_however_the_file_holds_them() {
    for name in ["tied", "tied_head_only", "tied_other_head"] {
        agrees(name);
    }
    assert!(Case::open("tied_head_only").llama.config().tie_word_embeddings);
    assert!(!Case::open("tied_other_head").llama.config().tie_word_embeddings, "two matrices that differ");
}

#[test]
fn linear_scaling() {
    agrees("linear");
}

#[test]
fn dynamic_scaling_beyond_the_first_training() {
    agrees("dynamic");
    agrees("dynamic_growing");
}

#[test]
fn llama3_scaling() {
    agrees("llama3");
}

#[test]
fn heads_of_a_width_of_their_own() {
    agrees("head_dim");
}

#[test]
fn biases_everywhere() {
    agrees("biases");
}

#[test]
fn shards_with_an_index() {
    agrees("sharded");
}

/// Which holds a shared matrix under both of its names.
#[test]
fn weights_in_a_file_of_torch() {
    agrees("pickled");
    assert!(Case::open("pickled").llama.config().tie_word_embeddings);
}

/// Other spellings, bfloat16 weights, one key head per query head by omission, buffers of frequencies.
#[test]
fn files_of_transformers_4() {
    agrees("version_4");
}

#[test]
fn rows_padded_in_front() {
    agrees("padded");
}

#[test]
fn rows_that_end_and_a_batch_that_ends() {
    agrees("ends");
    let options = Case::open("ends").options();
    assert_eq!((options.eos.len(), options.pad), (2, Some(7)));
}

/// The law of decoding. Not for a dynamic scaling beyond its training, where transformers turns cached keys by other angles than
/// a pass over the whole.
#[test]
fn the_cache_changes_nothing() {
    for name in ["gqa", "tied", "linear", "llama3", "head_dim", "biases", "padded"] {
        let case = Case::open(name);
        let options = GreedyOptions { new_tokens: 6, ..Default::default() };
        let decoded = case.llama.greedy(&case.ids, &case.padding, &options).unwrap();
        let read = Tensor::cat(&[&case.ids, &decoded.tokens.narrow(1, 0, 5)], 1);
        let hidden = case.llama.forward_padded(&case.llama.embed(&read).unwrap(), &case.padding).unwrap();
        let whole = case.llama.logits(&hidden, 0..48).unwrap().narrow(1, case.ids.size()[1] - 1, 6);
        let noise = case.golden("noise.greedy_logits").double_value(&[]);
        let difference = largest_difference(&whole, &decoded.logits) / noise;
        assert!(difference <= NOISES, "{name}: {difference} noises");
        assert_eq!(whole.argmax(-1, false), decoded.tokens, "{name}");
    }
}

/// What the trait's own pass computes is the pass without padding.
#[test]
fn both_passes_agree_without_padding() {
    let case = Case::open("biases");
    let embeddings = case.llama.embed(&case.ids).unwrap();
    let padded = case.llama.forward_padded(&embeddings, &case.padding).unwrap();
    assert_eq!(padded, case.llama.forward(&embeddings, None).unwrap());
}

/// A mask that hides everything from a position leaves numbers, in any element type.
#[test]
fn hidden_rows_stay_finite() {
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half] {
        let llama = Llama::load_as(folder("gqa"), Device::Cpu, kind).unwrap();
        let embeddings = llama.embed(&Tensor::from_slice(&[1_i64, 2, 3]).unsqueeze(0)).unwrap();
        let mask = Tensor::full([3, 3], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(0);
        let hidden = llama.forward(&embeddings, Some(&mask)).unwrap();
        assert!(hidden.isfinite().all().int64_value(&[]) != 0, "{kind:?}");
        assert!(llama.forward(&embeddings, Some(&mask.isfinite())).is_err(), "a mask of other elements");
    }
}

/// Measured on these cases: 0.99978 and above in bfloat16, 0.999997 and above in half precision, 1 in f64.
#[test]
fn other_element_types_stay_close_to_f32() {
    for name in ["gqa", "tied", "dynamic", "llama3", "biases", "version_4", "padded"] {
        let case = Case::open(name);
        let whole = case.logits(&case.llama).to_kind(Kind::Double);
        for (kind, least) in [(Kind::BFloat16, 0.9995), (Kind::Half, 0.99999), (Kind::Double, 0.999_999_999)]
        {
            let other = Llama::load_as(folder(name), Device::Cpu, kind).unwrap();
            assert_eq!(other.kind(), kind);
            let logits = case.logits(&other);
            assert_eq!(logits.kind(), kind);
            let (a, b) = (logits.to_kind(Kind::Double).flatten(0, -1), whole.flatten(0, -1));
            let cosine = (a.dot(&b) / (a.norm() * b.norm())).double_value(&[]);
            println!("{name} {kind:?}: cosine {cosine:.7}");
            assert!(cosine > least, "{name} {kind:?}: {cosine}");
            let decoded = other.greedy(&case.ids, &case.padding, &case.options()).unwrap();
            assert_eq!(decoded.logits.kind(), Kind::Float);
        }
    }
    assert!(Llama::load_as(folder("gqa"), Device::Cpu, Kind::Int64).is_err());
}

/// A copy of a case whose configuration and tensors can be changed.
struct Copy {
    folder: tempfile::TempDir,
    config: Map<String, Value>,
    tensors: Vec<(String, Tensor)>,
}

impl Copy {
    fn of(name: &str) -> Self {
        let source = Checkpoint::open(folder(name)).unwrap();
        let tensors =
            source.names().into_iter().map(|name| (name.clone(), source.tensor(&name).unwrap())).collect();
        let config = files::read_json(folder(name).join("config.json")).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), config, tensors }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.config.remove(key).unwrap();
        self
    }

    fn with_tensor(mut self, name: &str, value: Tensor) -> Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.to_owned(), value));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn load(&self) -> musicot_lm::Result<Llama> {
        files::write_json(self.path().join("config.json"), &self.config)?;
        checkpoint::write(self.path().join("model.safetensors"), &self.tensors, Storage::Native)?;
        Llama::load(self.path(), Device::Cpu)
    }

    fn expect_refused(&self, culprits: &[&str]) {
        let message = self.load().unwrap_err().to_string();
        for culprit in culprits {
            assert!(message.contains(culprit), "{culprit} in: {message}");
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn both_spellings_of_a_rope_are_read_and_others_refused() {
    let read = |copy: Copy| copy.load().unwrap().config().clone();
    let older = |scaling: &str| Copy::of("gqa").without("rope_parameters").set("rope_scaling", json(scaling));
    let newer = |rope: &str| Copy::of("gqa").set("rope_parameters", json(rope));
    let linear = RopeScaling::Linear { factor: 2.0 };
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    for (copy, theta, scaling) in [
        (Copy::of("gqa").without("rope_parameters"), 1e4, RopeScaling::Default),
        (older("null").set("rope_theta", 500.into()), 500.0, RopeScaling::Default),
        (older(r#"{"type": "linear", "factor": 2}"#).set("rope_theta", 500.into()), 500.0, linear),
        (older(r#"{"rope_type": "linear", "type": "linear", "factor": 2.0}"#), 1e4, linear),
        (newer(r#"{"rope_type": "default"}"#).set("rope_theta", 500.into()), 500.0, RopeScaling::Default),
        // The object's own base comes first.
        (
            newer(r#"{"rope_type": "linear", "factor": 2.0, "rope_theta": 7.0}"#).set("rope_theta", 9.into()),
            7.0,
            linear,
        ),
        (newer(r#"{"rope_theta": 7.0, "partial_rotary_factor": 1.0}"#), 7.0, RopeScaling::Default),
        (newer(r#"{"rope_type": "dynamic", "factor": 3.0}"#), 1e4, RopeScaling::Dynamic { factor: 3.0 }),
        // Without its own number of positions, that of the file.
        (
            newer(
                r#"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}"#,
            ),
            1e4,
            llama3,
        ),
    ] {
        let config = read(copy);
        assert_eq!((config.rope_theta, config.rope_scaling), (theta, scaling));
    }
    let extrapolated = r#"{"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}"#;
    older(extrapolated).expect_refused(&["config.json", "`rope_scaling.rope_type`", "yarn"]);
    newer(r#"{"rope_type": "longrope", "short_factor": [1.0]}"#)
        .expect_refused(&["`rope_parameters.rope_type`", "longrope"]);
    newer(r#"{"rope_type": 3}"#).expect_refused(&["`rope_parameters.rope_type`", "3"]);
    newer("4").expect_refused(&["`rope_parameters`", "an object"]);
    newer(r#"{"rope_type": "linear"}"#).expect_refused(&["`rope_parameters`", "`factor`"]);
    newer(r#"{"rope_type": "linear", "factor": "2"}"#).expect_refused(&["`rope_parameters`", "\"2\""]);
    newer(r#"{"rope_type": "linear", "factor": 2.0, "beta_fast": 32}"#).expect_refused(&["`beta_fast`"]);
    newer(r#"{"rope_type": "default", "factor": 2.0}"#).expect_refused(&["`rope_parameters.factor`"]);
    newer(r#"{"rope_theta": 7.0, "partial_rotary_factor": 0.5}"#)
        .expect_refused(&["partial_rotary_factor", "0.5"]);
    newer(r#"{"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0}"#)
        .expect_refused(&["low_freq_factor"]);
    newer(r#"{"rope_type": "linear", "factor": -1.0}"#).expect_refused(&["`rope_scaling.factor`", "-1"]);
    let both =
        newer(r#"{"rope_theta": 7.0}"#).set("rope_scaling", json(r#"{"type": "linear", "factor": 2.0}"#));
    both.expect_refused(&["`rope_scaling`", "`rope_parameters`"]);
}

#[test]
fn keys_that_change_nothing_pass_and_others_are_named() {
    let same = Copy::of("gqa")
        .set("torch_dtype", "float16".into())
        .set("rope_scaling", Value::Null)
        .set("head_dim", Value::Null)
        .set("is_llama_config", true.into())
        .set("rope_interleaved", false.into())
        .set("attention_bias", Value::Null)
        .set("transformers.js_config", json(r#"{"dtype": "q4"}"#));
    let mut expected = Case::open("gqa").llama.config().clone();
    expected.head_dim = None;
    assert_eq!(same.load().unwrap().config(), &expected);
    let usual = Copy::of("gqa").without("rms_norm_eps").without("max_position_embeddings").load().unwrap();
    assert_eq!((usual.config().rms_norm_eps, usual.config().max_position_embeddings), (1e-6, 2048));
    for (key, value, culprits) in [
        ("hidden_act", json(r#""gelu""#), ["`hidden_act`", "gelu"]),
        ("model_type", json(r#""mistral""#), ["`model_type`", "mistral"]),
        ("sliding_window", json("4096"), ["config.json", "`sliding_window`"]),
        ("quantization_config", json("{}"), ["config.json", "`quantization_config`"]),
        ("rope_interleaved", json("true"), ["config.json", "`rope_interleaved`"]),
        ("head_dim", json("5"), ["`head_dim`", "5"]),
        ("num_key_value_heads", json("3"), ["`num_key_value_heads`", "3"]),
        ("max_position_embeddings", json("0"), ["`max_position_embeddings`", "0"]),
        ("vocab_size", json("null"), ["config.json", "`vocab_size`"]),
    ] {
        Copy::of("gqa").set(key, value).expect_refused(&culprits);
    }
}

#[test]
fn both_spellings_of_an_element_type_are_read() {
    let kind = |copy: Copy| {
        copy.load().unwrap();
        LlamaConfig::published_kind(copy.path().join("config.json")).unwrap()
    };
    assert_eq!(kind(Copy::of("gqa")), Some(Kind::Float));
    assert_eq!(kind(Copy::of("version_4")), Some(Kind::BFloat16));
    assert_eq!(
        kind(Copy::of("gqa").without("dtype").set("torch_dtype", "torch.float16".into())),
        Some(Kind::Half)
    );
    assert_eq!(
        kind(Copy::of("gqa").set("torch_dtype", "float64".into())),
        Some(Kind::Float),
        "the newer first"
    );
    assert_eq!(kind(Copy::of("gqa").set("dtype", Value::Null)), None);
    Copy::of("gqa")
        .set("torch_dtype", "float8_e4m3fn".into())
        .expect_refused(&["`torch_dtype`", "float8_e4m3fn"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let vector = || Tensor::ones([24], (Kind::Float, Device::Cpu));
    Copy::of("gqa").set("attention_bias", true.into()).expect_refused(&["missing", "self_attn.k_proj.bias"]);
    Copy::of("gqa").set("mlp_bias", true.into()).expect_refused(&["missing", "mlp.down_proj.bias"]);
    Copy::of("biases").set("mlp_bias", false.into()).expect_refused(&["unexpected", "mlp.down_proj.bias"]);
    Copy::of("gqa")
        .with_tensor("model.norm.bias", vector())
        .expect_refused(&["unexpected", "model.norm.bias"]);
    Copy::of("gqa").with_tensor("lm_head.weight", vector()).expect_refused(&[
        "lm_head.weight",
        "[48, 24]",
        "[24]",
    ]);
    Copy::of("tied").set("tie_word_embeddings", false.into()).expect_refused(&["missing", "lm_head.weight"]);
    let mut headless = Copy::of("tied");
    headless.tensors.retain(|(name, _)| name != "model.embed_tokens.weight");
    headless.expect_refused(&["missing", "model.embed_tokens.weight"]);
    // Only the buffers that old files have.
    let buffer = || Tensor::ones([3], (Kind::Float, Device::Cpu));
    let old = Copy::of("gqa").with_tensor("model.layers.1.self_attn.rotary_emb.inv_freq", buffer());
    assert!(old.with_tensor("model.rotary_emb.inv_freq", buffer()).load().is_ok());
    for other in
        ["model.layers.2.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq", "model.rotary_emb.inv_freq2"]
    {
        Copy::of("gqa").with_tensor(other, buffer()).expect_refused(&["unexpected", other]);
    }
}

#[test]
fn a_repeated_shared_matrix_is_passed_over() {
    let tied = Copy::of("tied");
    let table = tied.tensors.iter().find(|(name, _)| name == "model.embed_tokens.weight").unwrap().1.copy();
    let llama = tied.with_tensor("lm_head.weight", table).load().unwrap();
    assert!(llama.config().tie_word_embeddings);
    let case = Case::open("tied");
    assert_eq!(case.logits(&llama), case.logits(&case.llama));
}

#[test]
fn ends_of_rows_come_from_the_directory() {
    let copy = Copy::of("gqa");
    let read = |name: &str, text: &str| {
        std::fs::write(copy.path().join(name), text).unwrap();
        GreedyOptions::read_published(copy.path(), 3)
    };
    assert_eq!(read("config.json", "{}").unwrap().eos, [2], "transformers' default");
    assert_eq!(read("config.json", r#"{"eos_token_id": null}"#).unwrap().eos, Vec::<i64>::new());
    let both = read("config.json", r#"{"eos_token_id": [4, 5], "pad_token_id": 0}"#).unwrap();
    assert_eq!(both, GreedyOptions { new_tokens: 3, eos: vec![4, 5], pad: Some(0) });
    let own = r#"{"do_sample": true, "temperature": 0.6, "repetition_penalty": 1.0, "eos_token_id": 9}"#;
    assert_eq!(
        read("generation_config.json", own).unwrap(),
        GreedyOptions { new_tokens: 3, eos: vec![9], pad: None }
    );
    for (text, culprit) in [
        (r#"{"repetition_penalty": 1.2}"#, "`repetition_penalty`"),
        (r#"{"suppress_tokens": [1]}"#, "`suppress_tokens`"),
        (r#"{"eos_token_id": "two"}"#, "`eos_token_id`"),
    ] {
        let message = read("generation_config.json", text).unwrap_err().to_string();
        assert!(message.contains(culprit) && message.contains("generation_config.json"), "{message}");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let case = Case::open("padded");
    let (llama, ids) = (&case.llama, &case.ids);
    let options = GreedyOptions { new_tokens: 2, ..Default::default() };
    assert!(llama.greedy(ids, &case.padding, &options).is_ok());
    assert!(llama.greedy(ids, &[0], &options).is_err(), "another batch");
    assert!(llama.greedy(ids, &[9, 0, 0], &options).is_err(), "an empty row");
    assert!(llama.greedy(ids, &[-1, 0, 0], &options).is_err());
    assert!(llama.greedy(&(ids + 48), &case.padding, &options).is_err(), "ids out of range");
    assert!(llama.greedy(&ids.to_kind(Kind::Float), &case.padding, &options).is_err());
    assert!(llama.greedy(&ids.narrow(1, 0, 0), &case.padding, &options).is_err(), "nothing to continue");
    assert!(llama.greedy(ids, &case.padding, &GreedyOptions { new_tokens: 0, ..options.clone() }).is_err());
    assert!(llama.greedy(ids, &case.padding, &GreedyOptions { new_tokens: usize::MAX, ..options }).is_err());
    let embeddings = llama.embed(ids).unwrap();
    for padding in [vec![9, 0, 0], vec![-1, 0, 0], vec![0, 0]] {
        assert!(llama.forward_padded(&embeddings, &padding).is_err(), "{padding:?}");
    }
    assert!(llama.forward(&embeddings.to_kind(Kind::Double), None).is_err(), "embeddings of another type");
}

#[test]
fn a_dynamic_scaling_cannot_roll_on() {
    let llama = Case::open("dynamic").llama;
    let shape = |window_positions| SessionShape {
        padding: vec![0],
        prefix_positions: 4,
        window_positions,
        reach_positions: 8,
    };
    assert!(llama.session(&shape(0)).is_ok());
    let message = llama.session(&shape(3)).err().unwrap().to_string();
    assert!(message.contains("`rope_scaling`"), "{message}");
}

#[test]
fn configurations_survive_our_own_files() {
    for name in ["gqa", "dynamic", "llama3", "biases"] {
        let config = Case::open(name).llama.config().clone();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LlamaConfig>(&text).unwrap(), config);
    }
    assert!(serde_json::from_str::<LlamaConfig>(r#"{"rope_scaling": {"rope_type": "linear"}}"#).is_err());
    LlamaConfig::tiny_llama_1_1b().validate().unwrap();
}
