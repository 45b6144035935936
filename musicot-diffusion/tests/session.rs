//! Laws of long songs: streamed = whole, one window = the plain call, seams.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use musicot_core::{CounterRng, GuidanceScale};
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::{
    Condition, Denoiser, DiffusionSession, KnownForm, Objective, Request, Result, Sampler, SamplerConfig,
    Score, SessionConfig, Thoughts, frame_noise, frame_windows, render,
};
use proptest::prelude::*;

fn sampler() -> Sampler {
    let guidance = GuidanceScale::new(2.0).unwrap();
    Sampler::new(SamplerConfig { steps: 3, guidance, ..SamplerConfig::default() }).unwrap()
}

fn windows() -> SessionConfig {
    SessionConfig { window_frames: 40, first_window_frames: 30, prefix_frames: 10, lookahead_frames: 4 }
}

fn whole(
    model: &dyn Denoiser,
    sampler: &Sampler,
    config: &SessionConfig,
    score: Score,
    tokens: &Tensor,
) -> Tensor {
    let session = DiffusionSession::new(model, sampler, config.clone(), score).unwrap();
    render(session, tokens).unwrap()
}

/// Tokens in pieces of the given sizes, taking chunks whenever there are any.
fn streamed(model: &dyn Denoiser, sampler: &Sampler, tokens: &Tensor, sizes: &[i64]) -> Tensor {
    let mut session = DiffusionSession::new(model, sampler, windows(), score(tokens.size()[0])).unwrap();
    let (mut chunks, mut at, total) = (Vec::new(), 0, tokens.size()[1]);
    for size in sizes.iter().chain(std::iter::repeat(&7)) {
        let size = (*size).min(total - at);
        session.push(&tokens.narrow(1, at, size)).unwrap();
        at += size;
        if at == total {
            session.finish();
        }
        while let Some(chunk) = session.next_chunk().unwrap() {
            chunks.push(chunk);
        }
        if at == total {
            break;
        }
    }
    assert_eq!(session.frames() as i64, total);
    assert!(session.next_chunk().unwrap().is_none());
    Tensor::cat(&chunks, 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn streamed_is_whole(frames in 1_i64..130, sizes in prop::collection::vec(0_i64..50, 0..6)) {
        let (model, sampler) = (model(Objective::Flow, 1), sampler());
        let tokens = tokens(1, 1, frames);
        let whole = whole(&model, &sampler, &windows(), score(1), &tokens);
        prop_assert_eq!(whole.size(), [1, 6, frames]);
        prop_assert!(whole.equal(&streamed(&model, &sampler, &tokens, &sizes)));
    }
}

#[test]
fn a_song_of_one_window_is_the_plain_call() {
    let (model, sampler) = (model(Objective::Angle, 2), sampler());
    for frames in [1, 17, 30] {
        let tokens = tokens(1, 2, frames);
        let song = whole(&model, &sampler, &windows(), score(2), &tokens);
        let score = score(2);
        let index =
            Tensor::from_slice(&frame_windows(0, frames as usize, 20.0, 4)).expand([2, frames], false);
        let condition = Condition {
            semantic: Some(tokens),
            thoughts: Some(Thoughts { embeddings: score.thoughts.unwrap(), frame_windows: index }),
            text: score.text,
            ..Condition::default()
        };
        let noise = frame_noise(&score.streams, 6, 0, frames as usize, Device::Cpu).unwrap();
        let plain =
            sampler.sample(&model, &Request { condition: &condition, noise: &noise, known: None }).unwrap();
        assert!(song.equal(&plain), "{frames} frames");
    }
}

#[test]
fn a_song_does_not_depend_on_its_batch() {
    let (model, sampler) = (model(Objective::Flow, 3), sampler());
    let tokens = tokens(1, 2, 100);
    let together = whole(&model, &sampler, &windows(), score(2), &tokens);
    for index in 0..2 {
        let both = score(2);
        let one = Score {
            thoughts: both.thoughts.map(|t| item(&t, index)),
            text: both.text.map(|t| item(&t, index)),
            streams: vec![both.streams[index as usize]],
        };
        let alone = whole(&model, &sampler, &windows(), one, &item(&tokens, index));
        // f32 rounding through three guided steps in each of four windows.
        let difference = (item(&together, index) - alone).abs().max().double_value(&[]);
        assert!(difference < 1e-3, "item {index}: {difference}");
    }
}

#[test]
fn seeds_decide_and_nothing_else() {
    let (model, sampler) = (model(Objective::Flow, 3), sampler());
    let tokens = tokens(1, 1, 70);
    let once = whole(&model, &sampler, &windows(), score(1), &tokens);
    assert!(once.equal(&whole(&model, &sampler, &windows(), score(1), &tokens)));
    let other = Score { streams: vec![CounterRng::new(10)], ..score(1) };
    assert!(!once.equal(&whole(&model, &sampler, &windows(), other, &tokens)));
}

/// Every window must see no more frames than allowed, whatever the length of the song.
#[test]
fn windows_stay_within_the_trained_length() {
    struct Longest(Box<dyn Denoiser>, std::sync::atomic::AtomicI64);
    impl Denoiser for Longest {
        fn objective(&self) -> Objective {
            self.0.objective()
        }
        fn latent_dim(&self) -> i64 {
            self.0.latent_dim()
        }
        fn frames_per_thought(&self) -> f64 {
            self.0.frames_per_thought()
        }
        fn max_frames(&self) -> usize {
            self.0.max_frames()
        }
        fn device(&self) -> Device {
            self.0.device()
        }
        fn predict(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor> {
            self.1.fetch_max(x.size()[2], std::sync::atomic::Ordering::Relaxed);
            self.0.predict(x, time, condition)
        }
    }
    let sampler = sampler();
    let longest = Longest(Box::new(model(Objective::Flow, 4)), Default::default());
    let _ = whole(&longest, &sampler, &windows(), score(1), &tokens(1, 1, 300));
    assert_eq!(longest.1.into_inner(), 40);
}

/// The best denoiser for a process with a known law: a stationary chain `x_f = r x_(f-1) + sqrt(1 - r^2) e`, whose
/// smoothness at seams is known. It conditions on the known frames exactly.
struct Chain {
    correlation: f64,
}

impl Denoiser for Chain {
    fn objective(&self) -> Objective {
        Objective::Flow
    }
    fn latent_dim(&self) -> i64 {
        1
    }
    fn frames_per_thought(&self) -> f64 {
        20.0
    }
    fn max_frames(&self) -> usize {
        40
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
    fn known_form(&self) -> KnownForm {
        KnownForm::Clean
    }
    fn predict(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor> {
        let frames = x.size()[2];
        let position = Tensor::arange(frames, (Kind::Double, Device::Cpu));
        let distance: Tensor = (position.unsqueeze(0) - position.unsqueeze(1)).abs();
        let prior = Tensor::from(self.correlation).to_kind(Kind::Double).pow(&distance);
        let t = time.double_value(&[0]);
        let x = x.to_kind(Kind::Double).reshape([frames, 1]);
        // Observations: alpha x0 + sigma e at made frames, x0 itself (nearly without noise) at known ones.
        let known = match &condition.known {
            Some(known) => known.reshape([frames]).to_kind(Kind::Double),
            None => Tensor::zeros([frames], (Kind::Double, Device::Cpu)),
        };
        let gain: Tensor = &known + (1.0 - &known) * (1.0 - t);
        let variance: Tensor = &known * 1e-9 + (1.0 - &known) * (t * t) + 1e-12;
        let cross = &prior * gain.unsqueeze(0);
        let observed = gain.unsqueeze(1) * &cross + variance.diag(0);
        let data = cross.matmul(&Tensor::linalg_solve(&observed, &x, true));
        let noise = (&x - &data * (1.0 - t)) / t;
        Ok((noise - data).reshape([1, 1, frames]).to_kind(Kind::Float))
    }
}

#[test]
fn seams_are_as_smooth_as_the_rest() {
    tch::set_num_threads(1);
    let chain = Chain { correlation: 0.95 };
    let sampler = Sampler::new(SamplerConfig { steps: 16, ..SamplerConfig::default() }).unwrap();
    let config =
        SessionConfig { window_frames: 40, first_window_frames: 40, prefix_frames: 10, lookahead_frames: 4 };
    let seams = config.seams(1500);
    assert_eq!(seams, (0..).map(|k| 36 + 26 * k).take_while(|frame| *frame < 1500).collect::<Vec<_>>());
    assert!(config.seams(40).is_empty());
    let score = Score { thoughts: None, text: None, streams: vec![CounterRng::new(3)] };
    let song = whole(&chain, &sampler, &config, score, &Tensor::zeros([1, 1500], (Kind::Int64, Device::Cpu)));
    let song: Vec<f32> = musicot_core::tensor::to_vec(&song).unwrap();
    let mut steps: Vec<f32> = song.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let at_seams: f32 = seams.iter().map(|frame| steps[*frame - 1]).sum::<f32>() / seams.len() as f32;
    let mean = steps.iter().sum::<f32>() / steps.len() as f32;
    // The mean of 57 absolute normals has a relative standard error of 0.1.
    assert!((0.7..1.3).contains(&(at_seams / mean)), "seams {at_seams}, elsewhere {mean}");
    steps.sort_by(f32::total_cmp);
    assert!(at_seams < steps[steps.len() * 95 / 100]);
    let variance = song.iter().map(|v| v * v).sum::<f32>() / song.len() as f32;
    // 1500 frames of a chain with correlation 0.95 hold about 1500 * (1 - r^2) / (1 + r^2) = 77 independent ones.
    assert!((0.6..1.4).contains(&variance), "variance {variance}");
}

#[test]
fn misuse_is_refused() {
    let (model, sampler) = (model(Objective::Flow, 5), sampler());
    let refused = |change: fn(&mut SessionConfig)| {
        let mut config = windows();
        change(&mut config);
        DiffusionSession::new(&model, &sampler, config, score(1)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(|c| c.window_frames = 41).contains("window_frames"));
    assert!(refused(|c| c.prefix_frames = 36).contains("window_frames"));
    assert!(refused(|c| c.prefix_frames = usize::MAX).contains("window_frames"));
    assert!(refused(|c| c.first_window_frames = 4).contains("first_window_frames"));
    let start = |score| DiffusionSession::new(&model, &sampler, windows(), score);
    assert!(start(Score { streams: vec![], ..score(1) }).is_err());
    assert!(start(Score { thoughts: Some(normal(1, &[2, 4, 5])), ..score(1) }).is_err());
    assert!(start(Score { thoughts: Some(normal(1, &[1, 0, 5])), ..score(1) }).is_err());
    assert!(start(Score { text: Some(normal(1, &[1, 7]) * f64::NAN), ..score(1) }).is_err());
    let mut session = start(score(1)).unwrap();
    assert!(session.push(&tokens(1, 2, 3)).is_err());
    assert!(session.push(&normal(1, &[1, 3])).is_err());
    session.push(&(tokens(1, 1, 3) + 100)).unwrap();
    assert!(session.next_chunk().unwrap().is_none());
    session.finish();
    assert!(session.push(&tokens(1, 1, 3)).is_err());
    assert!(session.next_chunk().unwrap_err().to_string().contains("ids"));
    let empty = Tensor::zeros([1, 0], (Kind::Int64, Device::Cpu));
    assert!(render(start(score(1)).unwrap(), &empty).is_err());
}
