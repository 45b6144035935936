//! The demo on the trained model of the repository: text in, music out.

use std::fs;
use std::path::{Path, PathBuf};

use musicot::codec::read_audio;
use musicot::{Bundle, Manifest, MusicPlan};
use musicot_eval::clip::ClipStats;

use super::program::{good, names, with_bundle};

/// What is committed stays small enough to be fetched with the code.
const MOST_BYTES: u64 = 40_000_000;

fn mini() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini")
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes_in(&path) } else { path.metadata().unwrap().len() }).sum()
}

/// Seconds that are quick to make and still have two windows of plan.
const SECS: &str = "16";

fn demo(out: &Path, more: &[&str]) -> ClipStats {
    let mini = mini();
    let args: Vec<&str> =
        ["--seconds", SECS, "--out", out.to_str().unwrap()].into_iter().chain(more.iter().copied()).collect();
    good("generate", &with_bundle(&mini, &args));
    ClipStats::of(&read_audio(out.join("song.wav")).unwrap()).unwrap()
}

#[test]
fn the_small_model_is_whole_and_small() {
    let size = bytes_in(&mini());
    assert!(size <= MOST_BYTES, "{size} bytes");
    // Opening it checks the sum of every file.
    assert_eq!(Bundle::open(mini()).unwrap().config().name, "musicot-mini");
    assert!(mini().join("README.md").is_file(), "no model card");
}

#[test]
fn text_becomes_music_with_a_plan() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let piano = ["--prompt", "calm solo piano, slow, in A minor", "--seed", "1"];
    let heard = demo(&at("piano"), &piano);
    assert_eq!(names(&at("piano")), ["manifest.json", "plan.json", "plan.png", "plan.svg", "song.wav"]);
    let rock = demo(&at("rock"), &["--prompt", "fast rock with drums and electric guitar", "--seed", "1"]);

    for stats in [heard, rock] {
        // White noise has a flatness of 0.56 and a chroma entropy of 3.58 bits; a song that fell apart comes near.
        assert!(stats.flatness < 0.2 && stats.chroma_entropy_bits < 3.5, "{stats:?}");
        assert!((-45.0..-5.0).contains(&stats.loudness_lufs) && stats.silence_share < 0.5, "{stats:?}");
        assert!(
            stats.onset_rate_hz > 0.2 && stats.onset_rate_hz < 20.0 && stats.clipping_share == 0.0,
            "{stats:?}"
        );
    }
    let plan = |name: &str| MusicPlan::load(at(name).join("plan.json")).unwrap();
    assert_eq!(plan("piano").windows(), 2);
    assert!(plan("piano").codes != plan("rock").codes, "the prompt does not reach the plan");
    let tokens = |name: &str| Manifest::load(at(name).join("manifest.json")).unwrap().tokens;
    assert!(tokens("piano") != tokens("rock"), "the prompt does not reach the tokens");

    demo(&at("again"), &piano);
    let song = |name: &str| fs::read(at(name).join("song.wav")).unwrap();
    assert!(song("piano") == song("again"), "the same command makes another song");
}
