//! The reference's numbers.

use musicot_clap::{AudioTextEncoder, Clap, Crop};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{AudioBuffer, Storage, tensor};

use super::case::{Case, folder, largest_difference};

/// Deviations allowed, in units of the reference's own f32 noise. Of log-mel frames too: both sides compute in f64 and round once, so that
/// even near silence, where a spectrum in f32 would be 2e-3 dB off, they are but a rounding or two apart.
const NOISES: f64 = 10.0;

pub fn agrees(name: &str) {
    let case = Case::open(name);
    let mut line = format!("{name}:");
    for (output, value) in case.outputs(&case.load(Kind::Float)) {
        let expected = case.golden(&format!("out.{output}"));
        if value.kind() == Kind::Int64 {
            assert_eq!(value, expected, "{name}: {output}");
            continue;
        }
        let noise = case.golden(&format!("noise.{output}")).double_value(&[]);
        let deviation = largest_difference(&value, &expected) / noise;
        line += &format!(" {output} {deviation:.2}");
        assert!(deviation <= NOISES, "{name}: {output} is {deviation} noises of {noise} off");
    }
    println!("{line} noises");
}

/// Also: `tokenizer.json`; clips shorter than a hop, as long as the window, and longer.
#[test]
fn without_fusion() {
    agrees("unfused");
}

/// Also: the files of transformers 4, and RoBERTa's own with a mask that swallows the space before it; a clip longer by less than a frame.
#[test]
fn with_fusion() {
    agrees("fused");
}

/// Also: shards, `processor_config.json`, windows of attention that are filled up, overlapping patches, no norm behind them, no biases, other
/// activations.
#[test]
fn clips_repeated_to_the_end() {
    agrees("repeat");
}

/// Also: `pytorch_model.bin`, and RoBERTa's own files with nothing beside them.
#[test]
fn clips_padded_with_silence() {
    agrees("pad");
}

#[test]
fn four_pictures_without_fusion() {
    agrees("channels");
}

#[test]
fn bands_stretched_to_the_rows_of_the_image() {
    agrees("bands");
}

#[test]
fn the_original_layout() {
    agrees("laion");
}

/// In a file of the original training, with its optimizer and prefixes.
#[test]
fn the_original_layout_with_fusion() {
    agrees("laion_fused");
}

/// Measured on these cases; see the doc of [`Clap::load_as`].
#[test]
fn other_element_types_stay_close_to_f32() {
    for name in ["unfused", "fused", "repeat", "channels", "laion", "laion_fused"] {
        let case = Case::open(name);
        for (kind, least) in [(Kind::BFloat16, 0.999), (Kind::Half, 0.99999), (Kind::Double, 0.999_999_999)] {
            let other = case.load(kind);
            let mut lowest = 1.0_f64;
            for (output, value) in case.outputs(&other) {
                if !output.ends_with("embeds") {
                    continue;
                }
                let expected = case.golden(&format!("out.{output}")).to_kind(Kind::Double);
                let cosine = Tensor::cosine_similarity(&value.to_kind(Kind::Double), &expected, 1, 1e-12);
                lowest = lowest.min(cosine.min().double_value(&[]));
            }
            println!("{name} {kind:?}: cosine {lowest:.7}");
            assert!(lowest >= least, "{name} {kind:?}: {lowest}");
        }
    }
    assert!(Clap::load_as(folder("unfused"), Device::Cpu, Kind::Int64).is_err());
}

/// What a batch of windows gives is what its clips give.
#[test]
fn windows_of_a_recording_are_filled_as_the_model_says() {
    for name in ["unfused", "fused", "repeat", "pad", "channels"] {
        let clap = Case::open(name).load(Kind::Float);
        let samples: Vec<f32> = (0..6500).map(|i| (i as f32 * 0.37).sin() * 0.1).collect();
        let recording = AudioBuffer::mono(samples.clone(), clap.sample_rate_hz()).unwrap();
        let all = clap.embed_windows(&recording, clap.window_samples()).unwrap();
        for (row, start) in [0_usize, 4000].into_iter().enumerate() {
            let part = Tensor::from_slice(&samples[start..samples.len().min(start + 4000)]);
            let alone = clap.embed_clip(&part, Crop::Default).unwrap();
            // Batches of other sizes may add up in another order.
            assert!(largest_difference(&alone, &all.narrow(0, row as i64, 1)) < 1e-6, "{name} {row}");
        }
    }
}

/// As transformers' front end marks one clip of a batch that has no long one.
#[test]
fn a_short_clip_may_be_marked_as_long() {
    let case = Case::open("fused");
    let clap = case.load(Kind::Float);
    let mut clip = clap.features().clip(&case.clips()[0].0, Crop::Default).unwrap();
    let usual = clap.embed_features(&clip).unwrap();
    clip.is_longer = true;
    assert!(largest_difference(&usual, &clap.embed_features(&clip).unwrap()) > 1e-3);
}

#[test]
fn a_published_model_can_be_saved_as_ours() {
    for name in ["fused", "repeat", "laion"] {
        let case = Case::open(name);
        let clap = case.load(Kind::Float);
        let saved = tempfile::tempdir().unwrap();
        clap.save(saved.path(), Storage::Native).unwrap();
        let again = Clap::load(saved.path(), Device::Cpu).unwrap();
        assert_eq!(again.config(), clap.config());
        for ((output, value), (_, other)) in case.outputs(&clap).into_iter().zip(case.outputs(&again)) {
            assert_eq!(tensor::to_vec(&value).unwrap(), tensor::to_vec(&other).unwrap(), "{name}: {output}");
        }
    }
}
