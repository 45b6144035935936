//! The other examples.

use std::fs;
use std::path::{Path, PathBuf};

use musicot::codec::{Oobleck, OobleckConfig, read_audio};
use musicot::core::Storage;
use musicot::tch::Device;
use musicot::{Bundle, BundleConfig, Generator, MusicPlan, Quiet, Stage, tch};

use super::common::tiny_bundle;
use super::inputs::{tone, write};
use super::program::{bad, good, names, with_bundle};

/// Examples that every build has.
const EXAMPLES: [&str; 12] = [
    "generate",
    "stream",
    "speed",
    "reference",
    "analyze",
    "embed",
    "quantize",
    "codec_roundtrip",
    "custom_stage",
    "sample_own_lm",
    "conformance",
    "published_parts",
];

/// Those that need a feature and have no test file of their own.
#[cfg(feature = "train")]
const FEATURED: &[&str] = &["peers", "train"];
#[cfg(not(feature = "train"))]
const FEATURED: &[&str] = &[];

/// A bundle and a recording of 12 s.
fn inputs(root: &Path) -> (PathBuf, String) {
    tch::set_num_threads(1);
    let recording = root.join("tone.wav");
    write(&recording, &tone(12.0, 16_000));
    (tiny_bundle(root), recording.to_str().unwrap().to_owned())
}

#[test]
fn help_shows_sample_commands_and_unknown_flags_are_refused() {
    for name in EXAMPLES.iter().chain(FEATURED) {
        let ran = good(name, &["--help"]);
        assert!(ran.out.contains("Usage: ") && ran.out.matches(name).count() >= 1, "{name}: {}", ran.out);
        bad(name, &["--no-such-flag"], &["--no-such-flag"]);
    }
    for name in EXAMPLES.iter().chain(FEATURED).filter(|name| **name != "sample_own_lm") {
        let shown = good(name, &["--help"])
            .out
            .lines()
            .filter(|line| line.starts_with(&format!("  {name} ")))
            .count();
        assert!(shown >= 2, "{name}: expected two sample commands, got {shown}");
    }
}

/// Every line of the table has numbers, and a goal says whether it is met.
#[test]
fn speed_is_measured_in_processes_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, _) = inputs(root.path());
    let short = ["--rounds", "2", "--seconds", "2", "--long-secs", "20", "--threads", "1"];
    let out = good("speed", &with_bundle(&bundle, &short)).out;
    let rows: Vec<Vec<&str>> = out
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 1 + 16, "{out}");
    for row in &rows[1..] {
        let values = row[2].split(" / ").map(|value| value.parse::<f64>().unwrap());
        assert!(values.clone().count() > 0 && values.clone().all(f64::is_finite), "{row:?}");
        assert!(row[3].is_empty() || row[3].ends_with(": met") || row[3].ends_with(": MISSED"), "{row:?}");
    }
    assert!(rows.iter().any(|row| row[1].contains("8 songs at once")), "{out}");
    bad("speed", &["work", "nonsense"], &["nonsense"]);
}

#[test]
fn published_parts_and_own_ones_make_a_generator() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let play = |parts: &str, out: &str, more: &[&str]| {
        let usual = ["--size", "small", "--seconds", "3", "--steps", "2", "--threads", "1"];
        let own = ["--parts", &at(parts), "--out", &at(out)].map(str::to_owned);
        let all: Vec<&str> =
            usual.into_iter().chain(own.iter().map(String::as_str)).chain(more.iter().copied()).collect();
        good("published_parts", &all);
        read_audio(root.path().join(out).join("song.wav")).unwrap()
    };
    let song = play("parts", "song", &[]);
    // 75 tokens at 25 a second are the 64.6 frames of the autoencoder, of 2048 samples.
    assert_eq!((song.channels(), song.sample_rate_hz(), song.frames()), (2, 44_100, 65 * 2048));
    assert!(song.samples().iter().any(|sample| *sample != 0.0));
    // Parts that are there are used again, and given ones in place of made ones.
    let (clap, vae) = (at("parts/clap"), at("parts/vae"));
    let again = play("other", "again", &["--clap", &clap, "--vae", &vae]);
    assert_eq!(again.samples(), song.samples());
    assert!(!root.path().join("other/clap").exists() && root.path().join("other/lm").exists());
    bad("published_parts", &["--size", "huge", "--out", &at("song")], &["huge", "small"]);
    bad(
        "published_parts",
        &["--size", "small", "--clap", &at("nowhere"), "--out", &at("song"), "--parts", &at("parts")],
        &["nowhere"],
    );
}

/// A bundle whose codec is a published autoencoder, at its own rate.
#[test]
fn a_bundle_may_hold_a_published_autoencoder() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, _) = inputs(root.path());
    let config = OobleckConfig {
        encoder_hidden_size: 16,
        posterior_channels: 16,
        decoder_channels: 4,
        decoder_input_channels: 8,
        channel_multiples: vec![1, 1, 1, 1, 2],
        ..OobleckConfig::stable_audio_open()
    };
    let codec = bundle.join("codec");
    fs::remove_dir_all(&codec).unwrap();
    let weights = codec.join("diffusion_pytorch_model.safetensors");
    Oobleck::new(&config, Device::Cpu, 1).unwrap().params().save(weights, Storage::Native).unwrap();
    let published = serde_json::json!({
        "_class_name": "AutoencoderOobleck", "encoder_hidden_size": 16, "decoder_channels": 4,
        "decoder_input_channels": 8, "channel_multiples": [1, 1, 1, 1, 2],
    });
    fs::write(codec.join("config.json"), published.to_string()).unwrap();
    let path = bundle.join("diffusion/config.json");
    let mut dit: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    dit["frames_per_thought"] = (10.0 * 44_100.0 / 2048.0).into();
    fs::write(&path, dit.to_string()).unwrap();
    let mut description: BundleConfig =
        serde_json::from_slice(&fs::read(bundle.join("bundle.json")).unwrap()).unwrap();
    let seal = |description: &BundleConfig| Bundle::seal(&bundle, description.clone());
    description.stages.get_mut(&Stage::Codec).unwrap().kind = "oobleck".to_owned();
    let opened = seal(&description).unwrap();
    let mut generator = Generator::open(&opened, Device::Cpu).unwrap();
    let song = generator.generate(&generator.request("calm").duration_secs(2.0), &mut Quiet).unwrap();
    assert_eq!((song.audio.channels(), song.audio.frames()), (2, 44 * 2048));

    description.stages.get_mut(&Stage::Codec).unwrap().kind = "dac".to_owned();
    let message = Generator::open(&seal(&description).unwrap(), Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("codec") && message.contains("`spectral` or `oobleck`, got `dac`"), "{message}");
}

#[test]
fn a_recording_gives_its_style() {
    let root = tempfile::tempdir().unwrap();
    let ((bundle, recording), out) = (inputs(root.path()), root.path().join("out"));
    let args =
        [&recording, "--seconds", "20", "--levels", "2", "--at-window", "1", "--out", out.to_str().unwrap()];
    let ran = good("reference", &with_bundle(&bundle, &args));
    let plan = MusicPlan::load(out.join("plan.json")).unwrap();
    assert_eq!(plan.fixed.iter().filter(|fixed| **fixed).count(), 2);
    assert!(plan.fixed[[1, 0]] && plan.fixed[[1, 1]]);
    assert!(ran.out.contains("1 of 2 windows"), "{}", ran.out);
    let files =
        ["manifest.json", "plan.json", "plan.png", "plan.svg", "recording.png", "recording.svg", "song.wav"];
    assert_eq!(names(&out), files);
}

#[test]
fn plans_and_recordings_are_asked_about_phrases() {
    let root = tempfile::tempdir().unwrap();
    let ((bundle, recording), out) = (inputs(root.path()), root.path().join("out"));
    let song = root.path().join("song");
    let args = ["--prompt", "x", "--seconds", "20", "--out", song.to_str().unwrap()];
    good("generate", &with_bundle(&bundle, &args));
    let plan = song.join("plan.json");
    for (input, windows) in [(plan.to_str().unwrap(), 2), (recording.as_str(), 1)] {
        let args = [input, "--phrases", "piano, a distant storm", "--out", out.to_str().unwrap()];
        let ran = good("analyze", &with_bundle(&bundle, &args));
        let row = ran.out.lines().find(|line| line.starts_with("a distant storm")).unwrap();
        let values =
            row.trim_start_matches("a distant storm").split_whitespace().map(|v| v.parse::<f64>().unwrap());
        assert_eq!(values.filter(|value| value.abs() <= 1.0).count(), windows, "{}", ran.out);
        assert_eq!(names(&out), ["curves.json", "curves.png", "curves.svg"]);
    }
}

#[test]
fn recordings_and_phrases_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, recording) = inputs(root.path());
    let ran = good("embed", &with_bundle(&bundle, &[&recording, &recording, "--phrases", "piano,drums"]));
    let rows: Vec<Vec<&str>> =
        ran.out.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 4, "{}", ran.out);
    // The same recording twice.
    assert_eq!((rows[0][0], rows[0][1], rows[0][2]), ("tone.wav", "1.000", "1.000"));
    assert_eq!(rows[2][1], rows[0][3]);
    bad("embed", &with_bundle(&bundle, &[]), &["--phrases"]);
}

#[test]
fn vectors_are_quantised() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, recording) = inputs(root.path());
    for args in [["--random", "50"].as_slice(), &[&recording]] {
        let ran = good("quantize", &with_bundle(&bundle, args));
        let levels = ran
            .out
            .lines()
            .skip(1)
            .take_while(|line| line.chars().next().is_some_and(|c| c.is_ascii_digit()));
        assert_eq!(levels.count(), 3, "{}", ran.out);
        assert!(ran.out.contains("codes of vector 0: ["), "{}", ran.out);
    }
    bad("quantize", &with_bundle(&bundle, &["--random", "0"]), &["--random"]);
}

#[test]
fn a_codec_of_ones_own_and_the_bundles_are_heard() {
    let root = tempfile::tempdir().unwrap();
    let ((bundle, recording), out) = (inputs(root.path()), root.path().join("out/x.wav"));
    let to = ["--out", out.to_str().unwrap()];
    let secs = |args: &[&str], name: &str| {
        let ran = good(name, &with_bundle(&bundle, &[args, &to].concat()));
        (read_audio(&out).unwrap(), ran)
    };
    let (audio, ran) = secs(&[&recording, "--seconds", "3"], "codec_roundtrip");
    assert_eq!(audio.duration_secs(), 3.0);
    assert!(ran.out.contains("chroma") && ran.out.contains("onset F1"), "{}", ran.out);
    assert!(ran.err.contains("only the first 3 s"), "{}", ran.err);
    let (audio, _) = secs(&["--prompt", "x", "--seconds", "2"], "custom_stage");
    assert_eq!(audio.duration_secs(), 2.0);
    let (audio, _) = secs(&["--check", &recording], "custom_stage");
    assert_eq!(audio.duration_secs(), 12.0);
    // The bank's nearest band is within a semitone or two of the tone, which is loud; silence would be near 0.
    let peak = audio.samples().iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.05..1.0).contains(&peak), "{peak}");
}

#[test]
fn ones_own_language_model_is_sampled() {
    let ran = good("sample_own_lm", &["--seed", "3", "--windows", "2", "--tokens", "5"]);
    assert_eq!(ran.out, good("sample_own_lm", &["--seed", "3", "--windows", "2", "--tokens", "5"]).out);
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("window ")).count(), 2);
    bad("sample_own_lm", &["--policy", "loud"], &["loud"]);
}

#[test]
fn every_example_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("examples");
    let files =
        ["generate", "others", "bad_input", "prepare", "train", "evaluate", "experiments", "conformance"];
    let tested = files.map(|file| root.join("tests/examples").join(file).with_extension("rs"));
    let tested = tested.map(|path| fs::read_to_string(path).unwrap()).concat();
    // A file, or a folder with a main file.
    let examples: Vec<String> = names(&folder)
        .into_iter()
        .filter_map(|name| match name.strip_suffix(".rs") {
            Some(name) => Some(name.to_owned()),
            None => folder.join(&name).join("main.rs").is_file().then_some(name),
        })
        .collect();
    assert!(examples.len() > EXAMPLES.len(), "{examples:?}");
    for name in examples {
        let is_run =
            [format!("(\"{name}\""), format!("\"{name}\",")].iter().any(|call| tested.contains(call));
        assert!(is_run, "{name} is not run by any test");
    }
}
