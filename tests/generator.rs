//! Text to waveform through every stage, on tiny random weights: contracts that do not depend on training.
#![allow(clippy::unwrap_used)] // also in helpers, which clippy does not take for tests

mod common;

use musicot::core::{AudioBuffer, Error as CoreError, tch};
use musicot::{
    Error, ErrorKind, Event, Generator, Manifest, MemoryMode, MusicPlan, Quiet, Reference, Seeds, Step,
};
use ndarray::Array2;

fn generator(root: &std::path::Path) -> Generator {
    tch::set_num_threads(1);
    Generator::from_bundle(common::tiny_bundle(root)).unwrap()
}

fn noise(secs: usize) -> AudioBuffer {
    let mut draws = musicot::core::CounterRng::new(9).at(0);
    AudioBuffer::mono((0..secs * 48_000).map(|_| 0.1 * draws.normal()).collect(), 48_000).unwrap()
}

#[test]
fn a_prompt_becomes_a_song_of_the_asked_length() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let request = generator.request("calm jazz at 90 bpm").duration_secs(12.0).seed(3);
    let song = generator.generate(&request, &mut Quiet).unwrap();
    assert_eq!((song.audio.channels(), song.audio.frames()), (1, 12 * 48_000));
    song.audio.expect_finite().unwrap();
    assert_eq!(song.plan.codes.dim(), (1, 3));
    assert_eq!(song.manifest.tokens.len(), 300);
    assert!(song.manifest.tokens.iter().any(|token| *token != song.manifest.tokens[0]));
    song.save(root.path().join("out")).unwrap();
    let again = musicot::codec::read_audio(root.path().join("out/song.wav")).unwrap();
    assert_eq!(again.frames(), song.audio.frames());
    assert_eq!(MusicPlan::load(root.path().join("out/plan.json")).unwrap().codes, song.plan.codes);
    assert_eq!(Manifest::load(root.path().join("out/manifest.json")).unwrap(), song.manifest);
}

#[test]
fn same_seeds_same_samples_and_each_seed_changes_its_own_stage() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let base = generator.request("loud rock with drums").duration_secs(4.0).seed(1);
    let song = generator.generate(&base, &mut Quiet).unwrap();
    let again = generator.generate(&base, &mut Quiet).unwrap();
    assert_eq!(song.audio, again.audio);
    let mut request = base.clone();
    request.settings.seeds = Seeds { diffusion: 2, ..Seeds::from(1) };
    let other = generator.generate(&request, &mut Quiet).unwrap();
    assert_eq!((&other.plan.codes, &other.manifest.tokens), (&song.plan.codes, &song.manifest.tokens));
    assert_ne!(other.audio, song.audio);
    request.settings.seeds = Seeds { tokens: 2, ..Seeds::from(1) };
    let other = generator.generate(&request, &mut Quiet).unwrap();
    assert_eq!(other.plan.codes, song.plan.codes);
    assert_ne!(other.manifest.tokens, song.manifest.tokens);
}

#[test]
fn performing_a_saved_plan_gives_the_song_it_was_made_for() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let request = generator.request("slow strings").duration_secs(3.0).seed(5);
    let whole = generator.generate(&request, &mut Quiet).unwrap();
    let plan = generator.plan(&request, &mut Quiet).unwrap();
    plan.save(root.path().join("plan.json")).unwrap();
    let plan = MusicPlan::load(root.path().join("plan.json")).unwrap();
    let performed = generator.perform(&plan, &request.settings, &mut Quiet).unwrap();
    assert_eq!(performed.audio, whole.audio);
}

#[test]
fn one_stage_at_a_time_makes_the_same_song() {
    let root = tempfile::tempdir().unwrap();
    let dir = common::tiny_bundle(root.path());
    tch::set_num_threads(1);
    let mut keep = Generator::from_bundle(&dir).unwrap();
    let mut lean = Generator::from_bundle(&dir).unwrap().with_memory(MemoryMode::OneStage);
    let request = keep.request("organ").duration_secs(2.0);
    let (a, b) = (keep.generate(&request, &mut Quiet).unwrap(), lean.generate(&request, &mut Quiet).unwrap());
    assert_eq!(a.audio, b.audio);
}

/// Also with a first window that is short, so that several windows are streamed.
#[test]
fn a_streamed_song_is_the_whole_song_in_pieces() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let mut request = generator.request("marimba").duration_secs(9.0).seed(4);
    for first_window_frames in [request.settings.windows.first_window_frames, 100] {
        request.settings.windows.first_window_frames = first_window_frames;
        let song = generator.generate(&request, &mut Quiet).unwrap();
        let mut stream = generator.generate_stream(&request, &mut Quiet).unwrap();
        let first = stream.next().unwrap().unwrap();
        let (heard, written) = (first.duration_secs(), stream.manifest().tokens.len());
        assert!(heard > 0.0, "an empty piece");
        if first_window_frames == 100 {
            assert!(written < 9 * 25, "{heard} s come after all {written} tokens");
        }
        let mut pieces = vec![first];
        pieces.extend(stream.by_ref().map(|piece| piece.unwrap()));
        assert!(stream.next().is_none());
        let record = stream.manifest();
        assert_eq!((&record.tokens, record.gain_db), (&song.manifest.tokens, song.manifest.gain_db));
        assert_eq!(record.timings.len(), song.manifest.timings.len());
        assert_eq!(stream.sample_rate_hz(), song.audio.sample_rate_hz());
        let samples: Vec<_> = pieces.iter().map(|piece| piece.samples().view()).collect();
        assert_eq!(ndarray::concatenate(ndarray::Axis(1), &samples).unwrap(), song.audio.samples());
    }
}

#[test]
fn a_stream_needs_its_stages_in_memory() {
    let root = tempfile::tempdir().unwrap();
    let mut lean = generator(root.path()).with_memory(MemoryMode::OneStage);
    let request = lean.request("organ").duration_secs(2.0);
    let plan = lean.plan(&request, &mut Quiet).unwrap();
    let error = lean.perform_stream(&plan, &request.settings).err().unwrap();
    assert!(error.to_string().contains("OneStage") && error.kind() == ErrorKind::Input, "{error}");
}

#[test]
fn a_reference_fixes_its_part_of_the_plan() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let mut request = generator.request("anything").duration_secs(30.0);
    request.references.push(Reference { at_window: 1, levels: Some(2), ..Reference::new(noise(10)) });
    let plan = generator.plan(&request, &mut Quiet).unwrap();
    let fixed = Array2::from_shape_fn((3, 3), |(window, level)| window == 1 && level < 2);
    assert_eq!(plan.fixed, fixed);
    // The same recording alone, with another seed, asks for the same codes.
    let mut alone = generator.request("").duration_secs(10.0).seed(8);
    alone.references.push(Reference::new(noise(10)));
    let other = generator.plan(&alone, &mut Quiet).unwrap();
    assert_eq!(other.codes[[0, 0]], plan.codes[[1, 0]]);
    assert_eq!(other.codes[[0, 1]], plan.codes[[1, 1]]);
}

/// More than are written at once, so that groups must not show.
#[test]
fn the_draft_that_fits_best_is_performed() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let one = generator.request("a solo violin").duration_secs(20.0).seed(6);
    let drafts = generator.drafts(&one.clone().drafts(11), &mut Quiet).unwrap();
    assert_eq!(drafts.len(), 11);
    let fits: Vec<f64> = drafts.iter().map(|plan| plan.fit().unwrap()).collect();
    assert!(fits.is_sorted_by(|a, b| a >= b) && fits[0] > fits[10], "{fits:?}");
    for plan in &drafts {
        let asked = generator.analyze(plan, &["a solo violin"]).unwrap();
        assert!((asked.values.mean().unwrap() - plan.fit().unwrap()).abs() < 1e-5);
    }
    // The first drawn of a seed is the same however many there are, and so are the others.
    for fewer in [1, 9] {
        for plan in generator.drafts(&one.clone().drafts(fewer), &mut Quiet).unwrap() {
            assert!(drafts.contains(&plan), "one of {fewer} drafts is not among 11");
        }
    }
    let song = generator.generate(&one.drafts(11), &mut Quiet).unwrap();
    assert_eq!((&song.plan, song.manifest.settings.drafts), (&drafts[0], 11));
}

#[test]
fn drafts_keep_what_a_reference_fixes_and_without_a_condition_the_first_is_performed() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let reference = Reference { at_window: 1, levels: Some(2), ..Reference::new(noise(10)) };
    let fixed = generator.request("anything").duration_secs(20.0).drafts(3).reference(reference);
    let drafts = generator.drafts(&fixed, &mut Quiet).unwrap();
    for level in 0..2 {
        assert!(drafts.iter().all(|plan| plan.codes[[1, level]] == drafts[0].codes[[1, level]]));
    }
    let mut tagged = generator.request("").duration_secs(10.0);
    tagged.brief.tags.tempo_bpm = Some(90.0);
    let alone = generator.plan(&tagged, &mut Quiet).unwrap();
    assert_eq!(alone.fit(), None);
    assert_eq!(generator.plan(&tagged.drafts(5), &mut Quiet).unwrap(), alone);
}

#[test]
fn a_manifest_from_before_there_were_drafts_has_one() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let request = generator.request("organ").duration_secs(1.0).drafts(2);
    let song = generator.generate(&request, &mut Quiet).unwrap();
    let mut record = serde_json::to_value(&song.manifest).unwrap();
    record["settings"].as_object_mut().unwrap().remove("drafts").unwrap();
    let path = root.path().join("old.json");
    std::fs::write(&path, record.to_string()).unwrap();
    assert_eq!(Manifest::load(&path).unwrap().settings.drafts, 1);
}

#[test]
fn plans_and_recordings_can_be_asked_about_any_phrase() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let request = generator.request("piano").duration_secs(20.0);
    let plan = generator.plan(&request, &mut Quiet).unwrap();
    let curves = generator.analyze(&plan, &["piano", "a distant thunderstorm"]).unwrap();
    assert_eq!(curves.values.dim(), (2, 2));
    assert!(curves.values.iter().all(|cosine| cosine.abs() <= 1.0 + 1e-5));
    let heard = generator.analyze_recording(noise(25), &["piano"]).unwrap();
    assert_eq!(heard.values.dim(), (1, 3));
    assert!(matches!(generator.analyze(&plan, &[]), Err(Error::Core(CoreError::Input { .. }))));
}

#[test]
fn a_callback_can_stop_the_work() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    let request = generator.request("flute").duration_secs(10.0);
    let mut steps = Vec::new();
    let mut stop_at_tokens = |event: Event| {
        steps.push(event.step);
        !(event.step == Step::Tokens && event.done == 5)
    };
    let error = generator.generate(&request, &mut stop_at_tokens).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert!(steps.contains(&Step::Plan) && !steps.contains(&Step::Latents));
}

#[test]
fn impossible_requests_are_errors_that_say_why() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    for secs in [0.0, -3.0, f64::NAN, f64::INFINITY, 1e9] {
        let request = generator.request("x").duration_secs(secs);
        let error = generator.plan(&request, &mut Quiet).unwrap_err();
        assert!(error.to_string().contains("duration"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Input);
    }
    for count in [0, 1_000_000] {
        let error = generator.plan(&generator.request("x").drafts(count), &mut Quiet).unwrap_err();
        assert!(error.to_string().contains("drafts") && error.kind() == ErrorKind::Input, "{error}");
    }
    let empty = generator.request("  \n").duration_secs(5.0);
    assert!(generator.plan(&empty, &mut Quiet).unwrap_err().to_string().contains("prompt"));
    let mut late = generator.request("x").duration_secs(5.0);
    late.references.push(Reference { at_window: 7, ..Reference::new(noise(1)) });
    assert!(generator.plan(&late, &mut Quiet).unwrap_err().to_string().contains("window 7"));
    let mut missing = generator.request("x").duration_secs(5.0);
    missing.references.push(Reference::new(std::path::Path::new("no/such/file.flac")));
    assert!(generator.plan(&missing, &mut Quiet).unwrap_err().to_string().contains("no/such/file.flac"));
    let mut broken = noise(1).into_samples();
    broken[[0, 77]] = f32::NAN;
    let mut nan = generator.request("x").duration_secs(5.0);
    nan.references.push(Reference::new(AudioBuffer::new(broken, 48_000).unwrap()));
    assert!(generator.plan(&nan, &mut Quiet).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn enormous_and_odd_prompts_are_taken() {
    let root = tempfile::tempdir().unwrap();
    let mut generator = generator(root.path());
    for prompt in ["🎻🎹🥁".to_owned(), "very ".repeat(200_000) + "loud", "\u{0}\u{fffd}".to_owned()] {
        let request = generator.request(&prompt).duration_secs(1.0);
        generator.plan(&request, &mut Quiet).unwrap();
    }
    let request = generator.request("silence").duration_secs(10.0);
    let mut silent = request.clone();
    silent.references.push(Reference::new(AudioBuffer::mono(vec![0.0; 48_000], 48_000).unwrap()));
    generator.plan(&silent, &mut Quiet).unwrap();
}
