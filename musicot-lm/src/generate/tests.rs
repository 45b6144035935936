//! Laws of generation, on tiny random weights.

use std::ops::Range;

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{GuidanceScale, ParamStore, tensor};
use musicot_sampling::{PhaseConfig, SamplingConfig, TagGuidance};
use proptest::prelude::*;

use super::rows::{Rows, RowsShape, logits};
use super::told::{Told, ToldRow};
use super::*;
use crate::inputs::ClockRow;
use crate::tests::{audio, clap, plan, tiny_config, tiny_model};
use crate::{
    AudioToken, CausalLm, Conditions, Emission, FixedThoughts, Llama, LmSession, MusicLm, MusicLmConfig,
    NullBranch, Plan, PlanMode, SectionSpan, SessionShape, Song, Tags, ThoughtCode, ThoughtOrder, WeightKind,
};

fn policy(temperature: f64, scale: f64) -> PhaseConfig {
    PhaseConfig {
        sampling: SamplingConfig::at(temperature),
        guidance: GuidanceScale::new(scale).unwrap(),
        tag_guidance: None,
    }
}

/// Conditions of different lengths, so that rows are padded.
fn conditions(number: u64) -> Conditions {
    Conditions {
        clap: (number % 3 != 2).then(|| clap(number)),
        tags: Tags {
            style: (number % 2 == 1).then(|| "rock".to_owned()),
            tempo_bpm: Some(100.0),
            ..Default::default()
        },
        sections: vec![SectionSpan { label: "verse".to_owned(), windows: 2 }; number as usize % 3],
        lyrics: String::new(),
    }
}

fn plan_request(numbers: &[u64], windows: usize, seed: u64) -> PlanRequest {
    let song = |number: &u64| PlanSong {
        conditions: conditions(*number),
        number: *number,
        fixed: Default::default(),
    };
    PlanRequest { songs: numbers.iter().map(song).collect(), windows, seed }
}

fn audio_request(model: &MusicLm, numbers: &[u64], length: AudioLength, seed: u64) -> AudioRequest {
    let windows = length.max_tokens().div_ceil(4);
    let song = |number: &u64| AudioSong {
        conditions: conditions(*number),
        number: *number,
        plan: (model.config().plan == PlanMode::Thoughts).then(|| plan(model, windows, *number)),
    };
    AudioRequest { songs: numbers.iter().map(song).collect(), length, seed }
}

fn plans(model: &MusicLm, request: &PlanRequest, policy: &PhaseConfig) -> Vec<Plan> {
    model.thoughts(request, policy).unwrap().finish().unwrap()
}

fn tokens(model: &MusicLm, request: &AudioRequest, policy: &PhaseConfig) -> Vec<Vec<AudioToken>> {
    model.audio(request, policy).unwrap().finish().unwrap()
}

/// Decoding token by token gives the likelihoods of the whole sequence read at once (in both orders of the plan, with tags told once, and everywhere with the beat and the end).
#[test]
fn cached_is_full() {
    for (order, told) in
        [(ThoughtOrder::TimeMajor, false), (ThoughtOrder::LevelMajor, false), (ThoughtOrder::TimeMajor, true)]
    {
        let config = MusicLmConfig {
            thought_order: order,
            tags_everywhere: told,
            beat_clock: told,
            end_clock: told,
            ..tiny_config()
        };
        let model = tiny_model(config);
        let song = Song {
            conditions: conditions(1),
            plan: Some(plan(&model, 3, 1)),
            audio: audio(13, 1),
            start: 0,
            ends: true,
            rest: Some(0),
        };
        let other = Song {
            conditions: conditions(5),
            plan: None,
            audio: audio(16, 2),
            start: 0,
            ends: false,
            rest: None,
        };
        // A second, longer song beside it, so that rows are padded.
        let score = model.score(&[song.clone(), other]).unwrap().remove(0);
        assert_eq!((score.thoughts.len(), score.audio.len()), (9, 14));
        assert_close(&score.thoughts, &stepwise_thoughts(&model, &song), "thoughts");
        assert_close(&score.audio, &stepwise_audio(&model, &song), "audio");
    }
}

/// The decoder of our own kernels: what libtorch's gives, and the same draws in any batch, for every kind of weights.
#[test]
fn fast_decoders_draw_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let saved = tiny_model(tiny_config());
    saved.save(folder.path(), musicot_core::Storage::Native).unwrap();
    let policy = PhaseConfig {
        tag_guidance: Some(TagGuidance {
            tempo: true,
            ..TagGuidance::of_key(GuidanceScale::new(3.0).unwrap())
        }),
        ..policy(0.9, 1.7)
    };
    let write = |model: &MusicLm, numbers: &[u64]| {
        let plans = plans(model, &plan_request(numbers, 3, 7), &policy);
        // Longer than window and reach.
        let request = AudioRequest { seed: 4, ..audio_request(model, numbers, AudioLength::exact(40), 7) };
        (plans, tokens(model, &request, &policy))
    };
    for kind in WeightKind::ALL {
        let model = MusicLm::load_fast(folder.path(), kind).unwrap();
        let together = write(&model, &[1, 2, 5]);
        if kind == WeightKind::F32 {
            assert_eq!(together, write(&saved, &[1, 2, 5]), "logits agree to rounding");
        }
        for (index, number) in [1, 2, 5].into_iter().enumerate() {
            let alone = write(&model, &[number]);
            assert_eq!(alone.0[0], together.0[index], "{kind:?}");
            assert_eq!(alone.1[0], together.1[index], "{kind:?}");
        }
        let elsewhere = folder.path().join("again");
        let error = model.save(&elsewhere, musicot_core::Storage::Native).unwrap_err().to_string();
        assert!(error.contains("packed") && !elsewhere.exists(), "{error}");
    }
}

fn stepwise_thoughts(model: &MusicLm, song: &Song) -> Vec<f32> {
    let start = [(model.encode(&song.conditions).unwrap(), vec![crate::TokenId::COT_BOS.value()])];
    let mut rows = Rows::new(model, &start, None, &RowsShape { more_prefix: 9, window: 0 }).unwrap();
    let ids = model.thought_ids(song.plan.as_ref().unwrap()).unwrap();
    ids.iter()
        .enumerate()
        .map(|(n, id)| {
            let (_, level) = model.config().thought_order.place(n, 3, 3);
            let range = model.vocab().emits(Emission::Thought { level }).unwrap();
            let logits = logits(model, &rows.hidden().unwrap(), range.clone()).unwrap();
            rows.push(&[*id]).unwrap();
            nll(&logits, id - range.start)
        })
        .collect()
}

fn stepwise_audio(model: &MusicLm, song: &Song) -> Vec<f32> {
    let plan = song.plan.as_ref();
    let start = [(model.encode(&song.conditions).unwrap(), model.audio_start(plan).unwrap())];
    let length = song.rest.map(|rest| song.audio.len() + rest);
    let mut told = Told::new(model, &[ToldRow { conditions: &start[0].0, plan, length }]).unwrap();
    let mut told = |index: usize| told.at(index).unwrap();
    let shape = RowsShape { more_prefix: 0, window: 6 };
    let mut rows = Rows::new(model, &start, told(0).as_ref(), &shape).unwrap();
    let range = model.vocab().emits(Emission::Audio { may_end: true }).unwrap();
    let mut hidden = rows.hidden().unwrap();
    let mut found = Vec::new();
    for (index, token) in song.audio.iter().enumerate() {
        found.push(nll(&logits(model, &hidden, range.clone()).unwrap(), i64::from(token.0)));
        let id = model.vocab().audio(*token).unwrap().value();
        hidden = rows.roll(&[id], told(index + 1).as_ref()).unwrap();
    }
    found.push(nll(&logits(model, &hidden, range).unwrap(), 13));
    found
}

fn nll(logits: &Tensor, target: i64) -> f32 {
    -logits.log_softmax(-1, Kind::Float).double_value(&[0, target]) as f32
}

/// Likelihoods of order 1 to 10 through two layers in f32, with sums in another order.
fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (n, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < 1e-4, "{what} {n}: {a} against {b}");
    }
}

#[test]
fn tags_everywhere_need_no_plan_and_are_nothing_without_tags() {
    let config = MusicLmConfig { tags_everywhere: true, plan: PlanMode::None, ..tiny_config() };
    let model = tiny_model(config);
    let song =
        Song { conditions: conditions(1), plan: None, audio: audio(13, 1), start: 0, ends: true, rest: None };
    let score = model.score(std::slice::from_ref(&song)).unwrap().remove(0);
    assert_close(&score.audio, &stepwise_audio(&model, &song), "audio");
    let vectors = |conditions: &Conditions| {
        let encoded = model.encode(conditions).unwrap();
        model.audio_vectors(&[(&encoded, None)]).unwrap().unwrap()
    };
    assert!(vectors(&conditions(1)).abs().max().double_value(&[]) > 0.0);
    assert_eq!(vectors(&Conditions::default()).abs().max().double_value(&[]), 0.0);
}

/// Beats are counted from the beginning of the piece, stretch after stretch, and only where a tempo is known.
#[test]
fn the_beat_follows_the_place_in_the_piece() {
    let config = MusicLmConfig { beat_clock: true, plan: PlanMode::None, ..tiny_config() };
    let model = tiny_model(config);
    let with_tempo = |tempo_bpm: Option<f64>| {
        model
            .encode(&Conditions { tags: Tags { tempo_bpm, ..Default::default() }, ..Default::default() })
            .unwrap()
    };
    let (fast, none) = (with_tempo(Some(150.0)), with_tempo(None));
    let rows = [Some(150.0), None].map(|tempo_bpm| ClockRow { tempo_bpm, column: 0, token: 0, left: None });
    let whole = model.inputs.clocks(&rows, 200).unwrap().unwrap();
    assert_eq!(whole.select(0, 1).abs().max().double_value(&[]), 0.0);
    let row = |conditions| ToldRow { conditions, plan: None, length: None };
    let mut told = Told::new(&model, &[row(&fast), row(&none)]).unwrap();
    for n in [0, 1, 63, 64, 199] {
        assert!(told.at(n).unwrap().unwrap().allclose(&whole.select(1, n as i64), 1e-6, 1e-7, false), "{n}");
    }
    assert!(Told::new(&model, &[row(&none)]).unwrap().at(3).unwrap().is_none());
    // All phases return after 48 beats; at one token a second and 120 beats a minute that is after 24 tokens.
    let mut song =
        Song { conditions: conditions(1), plan: None, audio: audio(13, 1), start: 0, ends: true, rest: None };
    song.conditions.tags.tempo_bpm = Some(120.0);
    let mut score = |start| {
        song.start = start;
        model.score(std::slice::from_ref(&song)).unwrap().remove(0).audio
    };
    assert_close(&score(0), &score(24), "48 beats later");
    assert_ne!(score(0), score(1));
}

/// Only where the length is settled, and not in the unconditional branch.
#[test]
fn the_end_is_told_where_it_is_known() {
    let config = MusicLmConfig { end_clock: true, plan: PlanMode::None, ..tiny_config() };
    let model = tiny_model(config);
    let song = |rest| Song { rest, conditions: conditions(1), audio: audio(8, 1), ..Default::default() };
    let score = |rest| model.score(&[song(rest)]).unwrap().remove(0).audio;
    assert_ne!(score(Some(0)), score(None));
    assert_ne!(score(Some(0)), score(Some(5)));
    assert_close(&score(Some(5)), &stepwise_audio(&model, &song(Some(5)))[..8], "audio");
    let written =
        |length| tokens(&model, &audio_request(&model, &[1], length, 2), &policy(0.0, 1.0)).remove(0);
    let (known, open) = (written(AudioLength::exact(40)), written(AudioLength::between(40, 41)));
    assert_ne!(known, open[..40]);
}

#[test]
fn the_plan_and_the_conditions_matter() {
    let model = tiny_model(tiny_config());
    let song = Song {
        conditions: conditions(1),
        plan: Some(plan(&model, 2, 1)),
        audio: audio(8, 1),
        start: 0,
        ends: false,
        rest: None,
    };
    let score = |song: &Song| model.score(std::slice::from_ref(song)).unwrap().remove(0).audio;
    let other_plan = Song { plan: Some(plan(&model, 2, 2)), ..song.clone() };
    let other_clap = Song { conditions: Conditions { clap: Some(clap(9)), ..conditions(1) }, ..song.clone() };
    let no_clap = Song { conditions: Conditions { clap: None, ..conditions(1) }, ..song.clone() };
    for (what, changed) in [("plan", other_plan), ("embedding", other_clap), ("no embedding", no_clap)] {
        assert_ne!(score(&song), score(&changed), "{what}");
    }
}

/// A decoder that holds every song to be over, else to go on with token 3, else with 5.
struct Over(Llama);

impl CausalLm for Over {
    fn dim(&self) -> i64 {
        self.0.dim()
    }

    fn vocab_size(&self) -> i64 {
        self.0.vocab_size()
    }

    fn device(&self) -> Device {
        self.0.device()
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.0.embed(ids)
    }

    fn forward(&self, embeddings: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.0.forward(embeddings, mask)
    }

    fn logits(&self, hidden: &Tensor, rows: Range<i64>) -> Result<Tensor> {
        let logits = self.0.logits(hidden, rows)?.f_zeros_like()?;
        for (token, value) in [(13, 3.0), (3, 2.0), (5, 1.0)] {
            let _ = logits.f_narrow(1, token, 1)?.f_fill_(value)?;
        }
        Ok(logits)
    }

    fn session(&self, shape: &SessionShape) -> Result<Box<dyn LmSession + '_>> {
        self.0.session(shape)
    }
}

/// Forbidding the end alone would leave a song on the token before it.
#[test]
fn a_song_that_would_end_too_early_leaves_its_token() {
    let config = MusicLmConfig { plan: PlanMode::None, ..tiny_config() };
    let store = ParamStore::new(Device::Cpu, 1);
    let llama = Llama::new(&store.root(), &config.llama).unwrap();
    let model = MusicLm::with_decoder(config, store, Box::new(Over(llama))).unwrap();
    for scale in [1.0, 2.0] {
        let written =
            |length| tokens(&model, &audio_request(&model, &[1, 2], length, 1), &policy(0.0, scale));
        assert_eq!(written(AudioLength::exact(5)), vec![[3, 5, 3, 5, 3].map(AudioToken).to_vec(); 2]);
        assert_eq!(written(AudioLength::between(2, 5)), vec![[3, 5].map(AudioToken).to_vec(); 2]);
    }
}

#[test]
fn a_song_does_not_depend_on_its_batch() {
    let model = tiny_model(tiny_config());
    let policy = policy(0.8, 2.3);
    let together = plans(&model, &plan_request(&[4, 7, 2], 3, 1), &policy);
    let alone: Vec<Plan> =
        [4, 7, 2].iter().flat_map(|n| plans(&model, &plan_request(&[*n], 3, 1), &policy)).collect();
    assert_eq!(together, alone);
    let length = AudioLength::exact(30);
    let together = tokens(&model, &audio_request(&model, &[4, 7, 2], length, 1), &policy);
    let alone: Vec<Vec<AudioToken>> = [4, 7, 2]
        .iter()
        .flat_map(|n| tokens(&model, &audio_request(&model, &[*n], length, 1), &policy))
        .collect();
    assert_eq!(together, alone);
    assert_ne!(together[0], together[1]);
}

#[test]
fn the_same_seed_gives_the_same_song_and_another_another() {
    let model = tiny_model(tiny_config());
    let policy = policy(1.0, 1.5);
    let run = |seed| {
        let plan = plans(&model, &plan_request(&[1], 4, seed), &policy).remove(0);
        (plan, tokens(&model, &audio_request(&model, &[1], AudioLength::exact(20), seed), &policy))
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
    assert_ne!(run(5).1, run(6).1);
}

/// A scale next to 1 runs the unconditional branch, exactly 1 does not: both draw the same.
#[test]
fn neutral_guidance_is_the_conditional_branch() {
    let model = tiny_model(tiny_config());
    let (with, without) = (policy(1.0, 1.0 + 1e-9), policy(1.0, 1.0));
    let request = plan_request(&[1, 2], 3, 9);
    assert_eq!(plans(&model, &request, &with), plans(&model, &request, &without));
    assert_ne!(plans(&model, &request, &policy(1.0, 6.0)), plans(&model, &request, &without));
    let request = audio_request(&model, &[1, 2], AudioLength::exact(24), 9);
    assert_eq!(tokens(&model, &request, &with), tokens(&model, &request, &without));
    assert_ne!(tokens(&model, &request, &policy(1.0, 6.0)), tokens(&model, &request, &without));
}

/// What is left of a song whose tags count nothing is the song without them; with the scale of the rest there is no third branch.
#[test]
fn tags_have_a_scale_of_their_own() {
    let model = tiny_model(MusicLmConfig { tags_everywhere: true, beat_clock: true, ..tiny_config() });
    let tagged = |guidance: f64, tags: f64| {
        let scale = GuidanceScale::new(tags).unwrap();
        let of = TagGuidance { scale, tempo: true, key: true, style: true, mood: true, instruments: true };
        PhaseConfig { tag_guidance: Some(of), ..policy(1.0, guidance) }
    };
    let plan_of = |untagged: bool| {
        let mut request = plan_request(&[1, 2], 3, 9);
        let songs = request.songs.iter_mut().filter(|_| untagged);
        songs.for_each(|song| song.conditions.tags = Tags::default());
        request
    };
    let audio_of = |untagged: bool| {
        let mut request = audio_request(&model, &[1, 2], AudioLength::exact(24), 9);
        let songs = request.songs.iter_mut().filter(|_| untagged);
        songs.for_each(|song| song.conditions.tags = Tags::default());
        request
    };
    for guidance in [1.0, 2.5] {
        let plain = policy(1.0, guidance);
        assert_eq!(
            plans(&model, &plan_of(false), &tagged(guidance, 0.0)),
            plans(&model, &plan_of(true), &plain)
        );
        assert_eq!(
            tokens(&model, &audio_of(false), &tagged(guidance, 0.0)),
            tokens(&model, &audio_of(true), &plain)
        );
        let alike = tagged(guidance, guidance);
        assert_eq!(tokens(&model, &audio_of(false), &alike), tokens(&model, &audio_of(false), &plain));
        // Neither song has a key, so that nothing is added; beside a song that has one neither.
        let of_key = TagGuidance::of_key(GuidanceScale::new(9.0).unwrap());
        let keyed = PhaseConfig { tag_guidance: Some(of_key), ..plain };
        let unchanged = tokens(&model, &audio_of(false), &plain);
        assert_eq!(tokens(&model, &audio_of(false), &keyed), unchanged);
        let mut beside = audio_of(false);
        beside.songs[1].conditions.tags.key = "A minor".parse().ok();
        assert_eq!(tokens(&model, &beside, &keyed)[0], unchanged[0]);
        assert_ne!(tokens(&model, &beside, &keyed)[1], tokens(&model, &beside, &plain)[1]);
        let strong = tagged(guidance, 9.0);
        assert_ne!(plans(&model, &plan_of(false), &strong), plans(&model, &plan_of(false), &plain));
        assert_ne!(tokens(&model, &audio_of(false), &strong), tokens(&model, &audio_of(false), &plain));
    }
}

/// More songs than the decoder takes at once, with and without guidance.
#[test]
fn songs_written_by_turns_are_those_written_together() {
    let folder = tempfile::tempdir().unwrap();
    tiny_model(tiny_config()).save(folder.path(), musicot_core::Storage::Native).unwrap();
    let model = MusicLm::load_fast(folder.path(), WeightKind::F32).unwrap();
    let most = model.lm.rows_at_once();
    let numbers: Vec<u64> = (0..most as u64 + 3).collect();
    let request = audio_request(&model, &numbers, AudioLength::between(8, 40), 7);
    for scale in [1.0, 1.7] {
        let songs = model.write(&request, &policy(0.9, scale)).unwrap();
        assert_eq!(songs, tokens(&model, &request, &policy(0.9, scale)));
    }
    let none = AudioRequest { songs: Vec::new(), ..request.clone() };
    assert!(model.write(&none, &policy(0.9, 1.7)).unwrap_err().to_string().contains("songs"));
    let mut missing = request;
    missing.songs[most + 1].plan = None;
    assert!(model.write(&missing, &policy(0.9, 1.7)).is_err());
}

#[test]
fn the_null_branch_may_keep_the_plan() {
    let strong = policy(1.0, 3.0);
    let [text, text_and_plan] = [NullBranch::Text, NullBranch::TextAndPlan].map(|null_branch| {
        let model = tiny_model(MusicLmConfig { null_branch, ..tiny_config() });
        tokens(&model, &audio_request(&model, &[1], AudioLength::exact(24), 9), &strong)
    });
    assert_ne!(text, text_and_plan);
}

#[test]
fn a_model_without_a_plan_writes_audio_only() {
    let model = tiny_model(MusicLmConfig { plan: PlanMode::None, ..tiny_config() });
    let request = audio_request(&model, &[1, 2], AudioLength::exact(9), 3);
    assert!(tokens(&model, &request, &policy(1.0, 2.0)).iter().all(|song| song.len() == 9));
    assert!(model.thoughts(&plan_request(&[1], 2, 1), &policy(1.0, 2.0)).is_err());
    let with_plan = tiny_model(tiny_config());
    let wrong = audio_request(&with_plan, &[1], AudioLength::exact(9), 3);
    assert!(model.audio(&wrong, &policy(1.0, 2.0)).is_err());
}

#[test]
fn long_songs_go_on_beyond_window_and_reach() {
    let model = tiny_model(tiny_config());
    let request = audio_request(&model, &[1], AudioLength::exact(90), 3);
    let whole = tokens(&model, &request, &policy(1.0, 1.3)).remove(0);
    assert_eq!(whole.len(), 90);
    // Streaming: the first steps are those of the whole.
    let first: Vec<_> = model
        .audio(&request, &policy(1.0, 1.3))
        .unwrap()
        .take(40)
        .map(|s| s.unwrap().tokens[0].unwrap())
        .collect();
    assert_eq!(first, whole[..40]);
}

#[test]
fn given_codes_cost_no_pass_and_stay() {
    let model = tiny_model(tiny_config());
    let given = plan(&model, 3, 8);
    let mut request = plan_request(&[1], 3, 1);
    request.songs[0].fixed = FixedThoughts::from(&given);
    assert_eq!(plans(&model, &request, &policy(1.0, 2.3)), [given]);
}

#[test]
fn steps_come_in_order() {
    let model = tiny_model(MusicLmConfig { thought_order: ThoughtOrder::LevelMajor, ..tiny_config() });
    let thoughts = model.thoughts(&plan_request(&[1, 2], 2, 1), &policy(1.0, 1.0)).unwrap();
    assert_eq!(thoughts.steps(), 6);
    let places: Vec<_> =
        thoughts.map(|step| step.map(|s| (s.window, s.level, s.codes.len())).unwrap()).collect();
    assert_eq!(places, [(0, 0, 2), (1, 0, 2), (0, 1, 2), (1, 1, 2), (0, 2, 2), (1, 2, 2)]);
}

#[test]
fn bad_requests_are_errors() {
    let model = tiny_model(tiny_config());
    let good = policy(1.0, 1.3);
    assert!(model.thoughts(&plan_request(&[], 2, 1), &good).is_err(), "no song");
    assert!(model.thoughts(&plan_request(&[1], 0, 1), &good).is_err(), "no window");
    assert!(model.thoughts(&plan_request(&[1], usize::MAX, 1), &good).is_err(), "absurd");
    assert!(model.thoughts(&plan_request(&[1], 2, 1), &policy(-1.0, 1.3)).is_err(), "temperature");
    for (window, level, code) in [(2, 0, 0), (0, 3, 0), (0, 0, 7)] {
        let mut request = plan_request(&[1], 2, 1);
        request.songs[0].fixed.fix(window, level, ThoughtCode(code));
        assert!(model.thoughts(&request, &good).is_err(), "{window} {level} {code}");
    }
    let audio = |length: AudioLength, windows: Option<usize>| {
        let mut request = audio_request(&model, &[1], AudioLength::exact(8), 1);
        request.length = length;
        request.songs[0].plan = windows.map(|windows| plan(&model, windows, 1));
        model.audio(&request, &good).err()
    };
    assert!(audio(AudioLength::exact(8), Some(2)).is_none());
    assert!(audio(AudioLength::exact(9), Some(2)).is_none(), "a short rest belongs to the window before it");
    assert!(audio(AudioLength::exact(9), Some(3)).is_none());
    assert!(audio(AudioLength::exact(8), None).is_some(), "no plan");
    assert!(audio(AudioLength::exact(8), Some(3)).is_some(), "a plan too long");
    assert!(audio(AudioLength::exact(12), Some(2)).is_some(), "a plan too short");
    assert!(audio(AudioLength::exact(0), Some(1)).is_some(), "nothing to write");
    assert!(audio(AudioLength::between(9, 8), Some(2)).is_some(), "ends before it may");
    let mut scored =
        Song { conditions: conditions(1), plan: None, audio: vec![], start: 0, ends: false, rest: None };
    assert!(model.score(std::slice::from_ref(&scored)).is_err(), "no token");
    scored.audio = vec![AudioToken(13)];
    assert!(model.score(std::slice::from_ref(&scored)).is_err(), "a token out of range");
    scored.audio = vec![AudioToken(1); 17];
    assert!(model.score(&[scored]).is_err(), "beyond the reach");
}

#[test]
fn logits_that_are_not_numbers_are_an_error() {
    let model = tiny_model(tiny_config());
    {
        let _no_grad = musicot_core::tch::no_grad_guard();
        let named = model.params().named();
        let (_, mut norm) = named.into_iter().find(|(name, _)| name == "model.norm.weight").unwrap();
        let _ = norm.fill_(f64::NAN);
    }
    let mut stream = model.thoughts(&plan_request(&[1], 2, 1), &policy(1.0, 1.0)).unwrap();
    assert!(stream.next().unwrap().is_err());
    assert!(stream.next().is_none(), "an error ends the stream");
    let request = audio_request(&model, &[1], AudioLength::exact(8), 1);
    assert!(model.audio(&request, &policy(1.0, 1.0)).unwrap().finish().is_err());
}

#[test]
fn logits_agree_across_batches_to_rounding() {
    let model = tiny_model(tiny_config());
    let song = |n: u64| Song {
        conditions: conditions(n),
        plan: Some(plan(&model, 3, n)),
        audio: audio(12, n),
        start: 0,
        ends: false,
        rest: None,
    };
    let together = model.score(&[song(1), song(2), song(5)]).unwrap();
    for (n, score) in [1, 2, 5].into_iter().zip(together) {
        let alone = model.score(&[song(n)]).unwrap().remove(0);
        assert_close(&score.audio, &alone.audio, "audio");
        assert_close(&score.thoughts, &alone.thoughts, "thoughts");
    }
}

#[test]
fn draws_follow_the_logits() {
    // The uniforms of a stream are those of the counter RNG: the first token of a song is the inverse of its distribution.
    let model = tiny_model(tiny_config());
    let request = plan_request(&[3], 1, 77);
    let step = model.thoughts(&request, &policy(1.0, 1.0)).unwrap().next().unwrap().unwrap();
    let start = [(model.encode(&conditions(3)).unwrap(), vec![crate::TokenId::COT_BOS.value()])];
    let mut rows = Rows::new(&model, &start, None, &RowsShape { more_prefix: 1, window: 0 }).unwrap();
    let range = model.vocab().emits(Emission::Thought { level: 0 }).unwrap();
    let logits = logits(&model, &rows.hidden().unwrap(), range).unwrap();
    let probabilities = tensor::to_vec(&logits.softmax(-1, Kind::Double)).unwrap();
    let uniform = CounterRng::new(77).stage("lm").stage("thoughts").item(3).at(0).uniform_f64();
    let mut sum = 0.0;
    let expected = probabilities.iter().position(|p| {
        sum += f64::from(*p);
        sum > uniform
    });
    assert_eq!(step.codes[0].0 as usize, expected.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn phases_emit_only_their_own_tokens(
        seed in any::<u64>(), temperature in 0.0_f64..50.0, scale in 0.0_f64..20.0, min in 0_usize..5, more in 0_usize..9,
    ) {
        let model = tiny_model(tiny_config());
        let policy = policy(temperature, scale);
        for step in model.thoughts(&plan_request(&[1, 2], 2, seed), &policy).unwrap() {
            prop_assert!(step.unwrap().codes.iter().all(|code| code.0 < 7));
        }
        let length = AudioLength::between(min, min + more + 1);
        for song in tokens(&model, &audio_request(&model, &[1, 2], length, seed), &policy) {
            prop_assert!((min..=min + more + 1).contains(&song.len()));
            prop_assert!(song.iter().all(|token| token.0 < 13));
        }
        let exact = AudioLength::exact(min + more + 1);
        for song in tokens(&model, &audio_request(&model, &[1, 2], exact, seed), &policy) {
            prop_assert_eq!(song.len(), min + more + 1);
        }
    }

    #[test]
    fn fixed_places_are_kept(
        seed in any::<u64>(), fixed in proptest::collection::btree_map((0_usize..4, 0_usize..3), 0_u32..7, 0..12),
    ) {
        let model = tiny_model(tiny_config());
        let mut request = plan_request(&[1, 2], 4, seed);
        for ((window, level), code) in &fixed {
            request.songs[1].fixed.fix(*window, *level, ThoughtCode(*code));
        }
        let free = plans(&model, &plan_request(&[1, 2], 4, seed), &policy(1.0, 2.0));
        let made = plans(&model, &request, &policy(1.0, 2.0));
        prop_assert_eq!(&made[0], &free[0], "the other song of the batch is untouched");
        for (place, code) in &fixed {
            prop_assert_eq!(made[1].codes()[*place], i64::from(*code));
        }
    }
}
