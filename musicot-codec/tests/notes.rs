//! Laws of the note tokeniser on tiny random weights.
// Helpers outside of test functions; what they expect, a test expects.
#![allow(clippy::unwrap_used)]

use musicot_codec::{NoteFeatures, NoteTokenizer, NoteTokenizerConfig, SemanticTokenizer};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{CounterRng, Storage};

fn tiny() -> NoteTokenizer {
    tch::set_num_threads(1);
    let config = NoteTokenizerConfig {
        dim: 16,
        hidden: 16,
        blocks: 1,
        code_dim: 4,
        vocabulary_size: 19,
        ..Default::default()
    };
    NoteTokenizer::new(&config, Device::Cpu, 3).unwrap()
}

fn noise(batch: i64, samples: i64) -> Tensor {
    CounterRng::new(2).normal(0, &[batch, samples], Device::Cpu).unwrap() * 0.1
}

#[test]
fn one_token_per_hop_and_the_last_one_is_padded() {
    let tokenizer = tiny();
    assert_eq!(tokenizer.token_rate_hz(), 25.0);
    let tokens = tokenizer.tokenize(&noise(2, 48_001)).unwrap();
    assert_eq!((tokens.size(), tokens.kind()), (vec![2, 26], Kind::Int64));
    assert!(tokens.min().int64_value(&[]) >= 0 && tokens.max().int64_value(&[]) < 19);
    assert_eq!(tokenizer.tokenize(&noise(1, 0)).unwrap().size(), [1, 0]);
}

#[test]
fn a_clip_is_tokenised_as_if_it_were_alone() {
    let (tokenizer, clips) = (tiny(), noise(3, 38_400));
    let together = tokenizer.tokenize(&clips).unwrap();
    for clip in 0..3 {
        assert!(tokenizer.tokenize(&clips.narrow(0, clip, 1)).unwrap().equal(&together.narrow(0, clip, 1)));
    }
}

#[test]
fn tokens_can_be_read_back_as_features() {
    let tokenizer = tiny();
    let tokens = tokenizer.tokenize(&noise(1, 19_200)).unwrap();
    let features = tokenizer.describe(&tokens).unwrap();
    assert_eq!(features.size(), [1, tokenizer.config().features(), 10]);
    assert!(tokenizer.describe(&(tokens + 19)).unwrap_err().to_string().contains("0..19"));
}

/// A sounding A4 is in the band of A4 in both frames of its tokens, and nowhere else as strong.
#[test]
fn semitone_features_show_the_note() {
    let config = NoteTokenizerConfig::default();
    let features = NoteFeatures::new(&config, Device::Cpu).unwrap();
    let t = Tensor::arange(48_000, (Kind::Float, Device::Cpu)) / 48_000.0;
    let tone = (t * (std::f64::consts::TAU * 440.0)).sin().unsqueeze(0) * 0.3;
    let analysed = features.analyse(&tone).unwrap();
    assert_eq!(analysed.size(), [1, config.features(), 25]);
    let semitones = config.semitones as i64;
    // A4 is 45 semitones above C1.
    for frame in 0..config.pitch_frames {
        let bands = analysed.select(0, 0).narrow(0, frame * semitones, semitones).select(1, 12);
        assert_eq!(bands.argmax(0, false).int64_value(&[]), 45);
    }
}

#[test]
fn wrong_input_and_configurations_are_named() {
    let tokenizer = tiny();
    let options = (Kind::Float, Device::Cpu);
    assert!(tokenizer.tokenize(&Tensor::zeros([4], options)).unwrap_err().to_string().contains("samples"));
    assert!(
        tokenizer
            .tokenize(&Tensor::full([1, 1920], f64::NAN, options))
            .unwrap_err()
            .to_string()
            .contains("NaN")
    );
    let refused = |change: fn(&mut NoteTokenizerConfig), field: &str| {
        let mut config = NoteTokenizerConfig::default();
        change(&mut config);
        let message = NoteTokenizer::new(&config, Device::Cpu, 0).err().unwrap().to_string();
        assert!(message.contains(field), "{message}");
    };
    refused(|c| c.vocabulary_size = 0, "vocabulary_size");
    refused(|c| c.pitch_frames = 7, "pitch_frames");
    refused(|c| c.semitones = 500, "bands");
}

#[test]
fn a_saved_tokeniser_is_the_same_tokeniser() {
    let dir = tempfile::tempdir().unwrap();
    let (tokenizer, clip) = (tiny(), noise(1, 96_000));
    tokenizer.save(dir.path(), Storage::Native).unwrap();
    let again = NoteTokenizer::load(dir.path(), Device::Cpu).unwrap();
    assert!(again.tokenize(&clip).unwrap().equal(&tokenizer.tokenize(&clip).unwrap()));
}
