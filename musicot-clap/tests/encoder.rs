//! Laws of the encoder on random weights, and bad input.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use musicot_clap::{AudioTextEncoder, Clap, ClapConfig, similarity, windows};
use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::{AudioBuffer, CounterRng, Error, Storage, tensor};
use ndarray::Array2;
use proptest::prelude::*;

/// A tenth of a second at 8 kHz as a window.
fn config() -> ClapConfig {
    let mut config = ClapConfig::mini();
    config.projection_dim = 16;
    config.features.sample_rate_hz = 8000;
    config.features.max_hz = 4000.0;
    config.features.n_fft = 128;
    config.features.hop_samples = 40;
    config.features.window_samples = 800;
    config.audio_config.spec_size = 32;
    config.audio_config.num_mel_bins = 16;
    config.audio_config.window_size = 4;
    config.audio_config.patch_embeds_hidden_size = 8;
    config.audio_config.depths = vec![2, 1];
    config.audio_config.num_attention_heads = vec![2, 2];
    config.audio_config.hidden_size = 16;
    config.text_config.vocab_size = 160;
    config.text_config.hidden_size = 16;
    config.text_config.num_hidden_layers = 2;
    config.text_config.num_attention_heads = 2;
    config.text_config.intermediate_size = 32;
    config.text_config.max_position_embeddings = 24;
    config.text_config.max_tokens = 24;
    config
}

fn clap() -> Clap {
    set_num_threads(1);
    Clap::new(config(), Device::Cpu, 3).unwrap()
}

fn noise(seed: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(seed).normal(0, shape, Device::Cpu).unwrap() * 0.1
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    // Unit vectors in f32; another batch size may order sums differently.
    a.size() == b.size() && (a - b).abs().max().double_value(&[]) < 1e-5
}

#[test]
fn embeddings_are_unit_vectors_without_gradients() {
    let clap = clap();
    let audio = clap.embed_audio(&noise(0, &[3, 800])).unwrap();
    let text = clap.embed_text(&["solo piano", "", "🎸🥁"]).unwrap();
    for x in [&audio, &text] {
        assert_eq!(x.size(), [3, 16]);
        assert!(!x.requires_grad());
        let lengths = tensor::to_vec(&x.norm_scalaropt_dim(2.0, [1], false)).unwrap();
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-5));
    }
    assert_eq!(clap.probabilities(&audio, &text).unwrap().size(), [3, 3]);
    assert_eq!((clap.dim(), clap.sample_rate_hz(), clap.window_samples()), (16, 8000, 800));
}

#[test]
fn same_seed_same_model_other_seed_another() {
    let other = Clap::new(config(), Device::Cpu, 4).unwrap();
    let x = noise(0, &[1, 800]);
    assert_eq!(clap().embed_audio(&x).unwrap(), clap().embed_audio(&x).unwrap());
    assert!(!close(&clap().embed_audio(&x).unwrap(), &other.embed_audio(&x).unwrap()));
}

#[test]
fn items_do_not_see_their_batch() {
    let clap = clap();
    // More than are embedded at once.
    let x = noise(1, &[19, 800]);
    let together = clap.embed_audio(&x).unwrap();
    let texts = ["slow", "a fast and loud piece", "drums"];
    let texts_together = clap.embed_text(&texts).unwrap();
    for item in 0..19 {
        assert!(close(&clap.embed_audio(&x.narrow(0, item, 1)).unwrap(), &together.narrow(0, item, 1)));
    }
    for (item, text) in texts.iter().enumerate() {
        assert!(close(&clap.embed_text(&[text]).unwrap(), &texts_together.narrow(0, item as i64, 1)));
    }
}

#[test]
fn more_texts_than_are_embedded_at_once() {
    let clap = clap();
    // Long and short ones by turns: they are embedded with others of their length.
    let texts: Vec<String> = (0..70).map(|i| format!("text {i} {}", "x".repeat(i * 37 % 70))).collect();
    let all = clap.embed_text(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!(all.size(), [70, 16]);
    for (row, text) in texts.iter().enumerate() {
        assert!(close(&all.narrow(0, row as i64, 1), &clap.embed_text(&[text]).unwrap()), "{text}");
    }
}

#[test]
fn windows_of_a_recording_equal_their_clips() {
    let clap = clap();
    let samples = tensor::to_vec(&noise(2, &[20_000])).unwrap();
    let audio = AudioBuffer::mono(samples.clone(), 8000).unwrap();
    let all = clap.embed_windows(&audio, 500).unwrap();
    let starts: Vec<usize> = windows::starts(20_000, 800, 500).unwrap().collect();
    assert_eq!(all.size(), [starts.len() as i64, 16]);
    for (row, start) in starts.iter().enumerate() {
        let clip = windows::repeat_pad(&samples[*start..samples.len().min(start + 800)], 800);
        let alone = clap.embed_audio(&Tensor::from_slice(&clip).unsqueeze(0)).unwrap();
        assert!(close(&alone, &all.narrow(0, row as i64, 1)), "window {row}");
    }
}

#[test]
fn channels_are_averaged_and_short_clips_repeated() {
    let clap = clap();
    let mono = tensor::to_vec(&noise(3, &[300])).unwrap();
    let stereo =
        Array2::from_shape_fn((2, 300), |(channel, i)| mono[i] * if channel == 0 { 1.5 } else { 0.5 });
    let a = clap.embed_windows(&AudioBuffer::new(stereo, 8000).unwrap(), 800).unwrap();
    let b = clap.embed_audio(&Tensor::from_slice(&mono).unsqueeze(0)).unwrap();
    assert!(close(&a, &b));
}

#[test]
fn silence_embeds() {
    let silent = clap().embed_audio(&Tensor::zeros([1, 800], (Kind::Float, Device::Cpu))).unwrap();
    assert!(silent.isfinite().all().int64_value(&[]) != 0);
}

#[test]
fn bad_input_is_a_typed_error() {
    let clap = clap();
    let options = (Kind::Float, Device::Cpu);
    for (bad, why) in [
        (Tensor::zeros([1, 0], options), "1..=800"),
        (Tensor::zeros([0, 800], options), "at least one clip"),
        (Tensor::zeros([1, 801], options), "embed_windows"),
        (Tensor::full([1, 800], f64::NAN, options), "NaN"),
        (Tensor::zeros([800], options), "shape"),
        (Tensor::zeros([1, 800], (Kind::Double, Device::Cpu)), "Float"),
    ] {
        let error = clap.embed_audio(&bad).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(matches!(clap.embed_text(&[]), Err(Error::Input { .. })));
    let audio = |samples: Vec<f32>, rate| AudioBuffer::mono(samples, rate).unwrap();
    assert!(
        clap.embed_windows(&audio(vec![0.0; 900], 44_100), 800).unwrap_err().to_string().contains("resample")
    );
    assert!(clap.embed_windows(&audio(vec![], 8000), 800).is_err());
    assert!(clap.embed_windows(&audio(vec![f32::INFINITY; 900], 8000), 800).is_err());
    assert!(clap.embed_windows(&audio(vec![0.0; 900], 8000), 0).is_err());
    assert!(clap.embed_mel(&Tensor::zeros([1, 21, 15], options)).is_err());
    assert!(clap.embed_mel(&Tensor::zeros([1, 99, 16], options)).is_err());
}

#[test]
fn what_is_cut_from_texts_is_reported() {
    let clap = clap();
    let long = "slow ".repeat(100);
    let cuts = clap.text_cuts(&["slow", &long]).unwrap();
    assert!(cuts[0].is_nothing());
    assert_eq!(cuts[1].tokens, 400 - 22);
    assert!(close(
        &clap.embed_text(&[&long]).unwrap(),
        &clap.embed_text(&["slow ".repeat(99).as_str()]).unwrap()
    ));
}

#[test]
fn damaged_directories_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    assert!(matches!(Clap::load(dir, Device::Cpu), Err(Error::Io { .. })));
    clap().save(dir, Storage::Native).unwrap();
    Clap::load(dir, Device::Cpu).unwrap();
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let damage = |from: &str, to: &str| {
        std::fs::write(dir.join("config.json"), config.replace(from, to)).unwrap();
        Clap::load(dir, Device::Cpu).err().unwrap()
    };
    assert!(matches!(damage("\"projection_dim\": 16", "\"projection_dim\": 17"), Error::Checkpoint { .. }));
    assert!(
        damage("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")
            .to_string()
            .contains("encoder.layer.2")
    );
    assert!(damage("\"vocab_size\": 160", "\"vocab_size\": 20").to_string().contains("vocab_size"));
    assert!(matches!(damage("\"spec_size\": 32", "\"spec_size\": 31"), Error::Format { .. }));
    std::fs::write(dir.join("config.json"), config).unwrap();
    std::fs::write(dir.join("tokenizer.json"), "{}").unwrap();
    assert!(Clap::load(dir, Device::Cpu).err().unwrap().to_string().contains("tokenizer.json"));
}

#[test]
fn storage_as_int8_keeps_the_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let clap = clap();
    clap.save(folder.path(), Storage::Int8).unwrap();
    let again = Clap::load(folder.path(), Device::Cpu).unwrap();
    let x = noise(5, &[4, 800]);
    let own = similarity::score(&clap.embed_audio(&x).unwrap(), &again.embed_audio(&x).unwrap())
        .unwrap()
        .diagonal(0, 0, 1);
    // int8 rows keep about two digits.
    assert!(own.min().double_value(&[]) > 0.999, "{}", own.min().double_value(&[]));
}

#[test]
fn a_model_can_move_to_another_thread() {
    let boxed: Box<dyn AudioTextEncoder> = Box::new(clap());
    let embedded = std::thread::spawn(move || boxed.embed_text(&["calm"]).unwrap().size()).join().unwrap();
    assert_eq!(embedded, [1, 16]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn recordings_of_any_length_have_their_windows(samples in 1_usize..5000, hop in 100_usize..2000) {
        let clap = clap();
        let audio = AudioBuffer::mono(vec![0.01; samples], 8000).unwrap();
        let count = windows::starts(samples, 800, hop).unwrap().count();
        prop_assert_eq!(clap.embed_windows(&audio, hop).unwrap().size(), [count as i64, 16]);
    }
}
