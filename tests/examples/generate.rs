//! `generate`, and what it takes.

use std::fs;

use musicot::codec::read_audio;
use musicot::{Manifest, MusicPlan};

use super::common::tiny_bundle;
use super::inputs::{tone, write};
use super::program::{good, names, path, with_bundle};

#[test]
fn every_flag_reaches_the_song_and_the_same_command_makes_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, out) = (tiny_bundle(root.path()), root.path().join("a/b/song"));
    let (reference, lyrics) = (root.path().join("reference.wav"), root.path().join("lyrics.txt"));
    write(&reference, &tone(11.0, 22_050));
    fs::write(&lyrics, "la la la\n").unwrap();
    let args = |out: &'static str| {
        let paths = [&reference, &lyrics].map(|path| path.to_str().unwrap().to_owned());
        let out = root.path().join(out).to_str().unwrap().to_owned();
        let mut args: Vec<String> = [
            "--prompt",
            "calm music with a kazoo",
            "--seconds",
            "20.5",
            "--seed",
            "7",
            "--tempo",
            "92.5",
            "--key",
            "Eb minor",
            "--tags",
            "jazz,piano,glockenspielzeug",
            "--sections",
            "intro:1,verse:1",
            "--drafts",
            "3",
            "--device",
            "cpu",
            "--reference",
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend([paths[0].clone(), "--lyrics".into(), paths[1].clone(), "--out".into(), out]);
        args
    };
    let call = |args: &[String], more: &[&'static str]| {
        let words: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        good("generate", &with_bundle(&bundle, &words))
    };
    let ran = call(&args("a/b/song"), &[]);

    assert_eq!(names(&out), ["manifest.json", "plan.json", "plan.png", "plan.svg", "song.wav"]);
    let audio = read_audio(out.join("song.wav")).unwrap();
    // 20.5 s are 512.5 tokens of 1920 samples.
    assert!((audio.duration_secs() - 20.5).abs() <= 0.04, "{}", audio.duration_secs());
    assert!(fs::read_to_string(out.join("plan.svg")).unwrap().contains("<svg"));
    assert!(fs::read(out.join("plan.png")).unwrap().starts_with(b"\x89PNG"));
    let manifest = Manifest::load(out.join("manifest.json")).unwrap();
    let tags = &manifest.brief.tags;
    assert_eq!(
        (tags.tempo_bpm, tags.key.map(|key| key.to_string())),
        (Some(92.5), Some("D# minor".to_owned()))
    );
    assert_eq!(tags.style.as_deref(), Some("jazz"));
    assert!(tags.instruments.iter().any(|name| name == "piano"), "{tags:?}");
    assert_eq!((manifest.brief.sections.len(), manifest.brief.lyrics.as_str()), (2, "la la la\n"));
    assert_eq!((manifest.settings.seeds, manifest.settings.drafts), (7.into(), 3));
    let plan = MusicPlan::load(out.join("plan.json")).unwrap();
    assert!(plan.fixed.row(0).iter().all(|code| *code) && !plan.fixed[[plan.windows() - 1, 0]]);
    // What the model could not be told is said.
    assert!(ran.err.contains("glockenspielzeug") && ran.err.contains("of lyrics"), "{}", ran.err);
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("real-time factor ") && last.contains(" s of audio in "), "{}", ran.out);
    assert!(ran.out.contains("song.wav") && ran.out.contains("plan.svg"), "{}", ran.out);

    call(&args("again"), &["--low-memory"]);
    let bytes = |dir: &str| fs::read(root.path().join(dir).join("song.wav")).unwrap();
    assert!(bytes("a/b/song") == bytes("again"), "one stage at a time makes another song");
}

/// The pieces of a stream are the whole song, in a file and on standard output.
#[test]
fn a_stream_is_the_song() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let dir = |name: &str| root.path().join(name).display().to_string();
    let asked = ["--prompt", "slow organ", "--seconds", "9", "--seed", "3", "--drafts", "5"];
    let run =
        |program: &str, more: &[&str]| good(program, &with_bundle(&bundle, &[&asked[..], more].concat()));
    run("generate", &["--out", &dir("whole")]);
    // The first window of the bundle.
    let ran = run("stream", &["--first-secs", "20", "--out", &dir("pieces")]);
    assert!(ran.err.contains(" s of audio after ") && ran.err.contains("real-time factor"), "{}", ran.err);
    assert!(ran.out.contains("song.wav"), "{}", ran.out);
    let wav = |name: &str| fs::read(root.path().join(name).join("song.wav")).unwrap();
    assert!(wav("whole") == wav("pieces"), "the stream is another song");
    let [whole, pieces] =
        ["whole", "pieces"].map(|name| Manifest::load(root.path().join(name).join("manifest.json")).unwrap());
    assert_eq!((pieces.tokens, pieces.gain_db), (whole.tokens, whole.gain_db));
    let output = std::process::Command::new(path("stream"))
        .args(with_bundle(&bundle, &[&asked[..], &["--first-secs", "20", "--raw"]].concat()))
        .output()
        .unwrap();
    let heard = read_audio(root.path().join("whole/song.wav")).unwrap();
    assert_eq!(output.stdout.len(), 2 * heard.frames());
    for (bytes, sample) in output.stdout.chunks_exact(2).zip(heard.samples()) {
        let heard = f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_767.0;
        assert!((heard - sample).abs() < 2.0 / 32_767.0, "{heard} for {sample}");
    }
    // A shorter first window is another way through the same tokens, and heard before the last of them are written.
    let ran = run("stream", &["--out", &dir("sooner")]);
    assert!(ran.err.matches(" s of audio after ").count() > 1, "{}", ran.err);
    assert_eq!(wav("sooner").len(), wav("whole").len());
}

#[test]
fn odd_prompts_are_taken_and_what_is_cut_is_told() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let out = root.path().join("out");
    // Linux takes arguments of at most 128 KiB.
    let enormous = "very ".repeat(25_000) + "loud";
    for (prompt, is_cut) in [("🎻🎹🥁🪕", false), ("\u{fffd}\u{202e}", false), (enormous.as_str(), true)]
    {
        let args = ["--prompt", prompt, "--seconds", "1", "--out", out.to_str().unwrap()];
        let ran = good("generate", &with_bundle(&bundle, &args));
        assert_eq!(ran.err.contains("the prompt was cut"), is_cut, "{}", ran.err);
        assert_eq!(Manifest::load(out.join("manifest.json")).unwrap().brief.prompt, prompt);
    }
}

#[test]
fn a_silent_reference_is_enough() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, silence, out) =
        (tiny_bundle(root.path()), root.path().join("silence.wav"), root.path().join("out"));
    write(&silence, &musicot::core::AudioBuffer::mono(vec![0.0; 24_000], 8000).unwrap());
    let args = ["--reference", silence.to_str().unwrap(), "--seconds", "2", "--out", out.to_str().unwrap()];
    good("generate", &with_bundle(&bundle, &args));
}
