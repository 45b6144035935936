//! Laws of the transformer and of one sampled window.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use musicot_core::{GuidanceScale, Storage};
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::{
    Condition, Denoiser, Dit, DitConfig, Error, Keep, Known, NullBranch, Objective, Request, Result, Sampler,
    SamplerConfig, Schedule, SolverKind,
};

fn sampler(guidance: f64) -> Sampler {
    let guidance = GuidanceScale::new(guidance).unwrap();
    Sampler::new(SamplerConfig { steps: 5, guidance, ..SamplerConfig::default() }).unwrap()
}

fn sample(model: &dyn Denoiser, sampler: &Sampler, condition: &Condition, noise: &Tensor) -> Tensor {
    sampler.sample(model, &Request { condition, noise, known: None }).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn mini_and_full_sizes() {
    let mini = Dit::new(DitConfig::default(), Device::Cpu, 0).unwrap().params().count();
    assert!((5_500_000..7_500_000).contains(&mini), "{mini} parameters");
}

#[test]
fn models_and_sessions_parts_are_send() {
    fn send<T: Send>() {}
    send::<Dit>();
    send::<Sampler>();
    send::<Box<dyn Denoiser>>();
    send::<Box<dyn musicot_diffusion::Solver>>();
}

#[test]
fn every_input_reaches_the_output() {
    let model = model(Objective::Flow, 1);
    let (x, time) = (normal(1, &[1, 6, 30]), Tensor::from_slice(&[0.4_f32]));
    let base = model.predict(&x, &time, &condition(1, 30)).unwrap();
    let changed = |change: fn(&mut Condition)| {
        let mut condition = condition(1, 30);
        change(&mut condition);
        largest_difference(&model.predict(&x, &time, &condition).unwrap(), &base)
    };
    assert!(changed(|c| c.semantic = None) > 1e-3);
    assert!(changed(|c| c.thoughts = None) > 1e-3);
    assert!(changed(|c| c.text = None) > 1e-3);
    assert!(changed(|c| c.known = Some(Tensor::ones([1, 30], (Kind::Bool, Device::Cpu)))) > 1e-3);
    let later = model.predict(&x, &Tensor::from_slice(&[0.5_f32]), &condition(1, 30)).unwrap();
    assert!(largest_difference(&later, &base) > 1e-3);
    let longer = model.predict(&(&x * 1.1), &time, &condition(1, 30)).unwrap();
    assert!(largest_difference(&longer, &base) > 1e-3);
}

#[test]
fn a_reader_estimates_from_the_conditions_alone() {
    let config = DitConfig { reader_blocks: 2, ..config(Objective::Flow) };
    let model = shaken(config, 4);
    let at = |x: u64, time: f32, condition: &Condition| {
        let time = Tensor::from_slice(&[time]);
        let (predicted, estimate) =
            model.predict_and_estimate(&normal(x, &[1, 6, 30]), &time, condition).unwrap();
        assert!(predicted.equal(&model.predict(&normal(x, &[1, 6, 30]), &time, condition).unwrap()));
        (predicted, estimate.unwrap())
    };
    let (predicted, estimate) = at(1, 0.4, &condition(1, 30));
    assert_eq!(estimate.size(), [1, 6, 30]);
    assert!(at(2, 0.9, &condition(1, 30)).1.equal(&estimate), "neither noise nor time");
    for changed in
        [Condition { semantic: None, ..condition(1, 30) }, Condition { thoughts: None, ..condition(1, 30) }]
    {
        let (other, otherwise) = at(1, 0.4, &changed);
        assert!(largest_difference(&other, &predicted) > 1e-3);
        assert!(largest_difference(&otherwise, &estimate) > 1e-3);
    }
    // No condition at all is one value for all frames, but for what the ends of the window change.
    let nothing = at(1, 0.4, &Condition::default()).1;
    assert!(nothing.select(2, 14).allclose(&nothing.select(2, 15), 1e-5, 1e-6, false));

    let plain = common::model(Objective::Flow, 4);
    let time = Tensor::from_slice(&[0.4_f32]);
    let (_, none) = plain.predict_and_estimate(&normal(1, &[1, 6, 30]), &time, &condition(1, 30)).unwrap();
    assert!(none.is_none());
}

#[test]
fn a_dropped_condition_is_an_absent_one() {
    let model = model(Objective::Flow, 2);
    let (x, time) = (normal(1, &[2, 6, 30]), Tensor::from_slice(&[0.4_f32, 0.8]));
    let none = || Some(Tensor::zeros([2], (Kind::Bool, Device::Cpu)));
    let dropped =
        Condition { keep: Keep { semantic: none(), thoughts: none(), text: none() }, ..condition(2, 30) };
    let a = model.predict(&x, &time, &dropped).unwrap();
    let b = model.predict(&x, &time, &Condition::default()).unwrap();
    assert!(a.equal(&b));
}

#[test]
fn thoughts_act_in_their_own_window_first() {
    // A block without attention to other frames would pass the difference nowhere else: here the input layer is looked at
    // through a model of depth 1 whose gates are closed, so that frames are independent.
    let config = DitConfig { depth: 1, ..config(Objective::Flow) };
    let model = Dit::new(config, Device::Cpu, 3).unwrap();
    tch::no_grad(|| {
        for (name, mut tensor) in model.params().trainable() {
            if name.starts_with("output") {
                tensor.f_copy_(&normal(8, &tensor.size())).unwrap();
            }
        }
    });
    let (x, time) = (normal(1, &[1, 6, 30]), Tensor::from_slice(&[0.4_f32]));
    let base = condition(1, 30);
    let other = condition(1, 30);
    let _ = other.thoughts.as_ref().unwrap().embeddings.narrow(1, 1, 1).fill_(3.0);
    let difference = model.predict(&x, &time, &base).unwrap() - model.predict(&x, &time, &other).unwrap();
    let per_frame = difference.abs().amax([1], false);
    // The crop starts at frame 13 of windows of 20: frames 0..7 are window 0, frames 7..27 window 1, then 2.
    for frame in 0..30 {
        let change = per_frame.double_value(&[0, frame]);
        assert_eq!(change > 0.0, (7..27).contains(&frame), "frame {frame}: {change}");
    }
}

#[test]
fn batched_is_single_to_rounding() {
    let (noise, both) = (normal(1, &[2, 6, 30]), condition(2, 30));
    for objective in [Objective::Flow, Objective::Angle] {
        let model = model(objective, 4);
        let together = sample(&model, &sampler(2.0), &both, &noise);
        for index in 0..2 {
            let thoughts = both.thoughts.as_ref().unwrap();
            let one = Condition {
                semantic: both.semantic.as_ref().map(|t| item(t, index)),
                thoughts: Some(musicot_diffusion::Thoughts {
                    embeddings: item(&thoughts.embeddings, index),
                    frame_windows: item(&thoughts.frame_windows, index),
                }),
                text: both.text.as_ref().map(|t| item(t, index)),
                ..Condition::default()
            };
            let alone = sample(&model, &sampler(2.0), &one, &item(&noise, index));
            // f32 rounding through 5 guided steps of values of a few units.
            let difference = largest_difference(&item(&together, index), &alone);
            assert!(difference < 2e-4, "{objective:?} item {index}: {difference}");
        }
    }
}

#[test]
fn same_inputs_same_bytes() {
    let model = model(Objective::Angle, 5);
    let (noise, condition) = (normal(1, &[2, 6, 30]), condition(2, 30));
    let first = sample(&model, &sampler(2.0), &condition, &noise);
    assert!(first.equal(&sample(&model, &sampler(2.0), &condition, &noise)));
}

/// Remembers the batches it is asked for, and takes known latents in the default form.
struct Watched {
    inner: Dit,
    batches: std::sync::Mutex<Vec<i64>>,
}

impl Watched {
    fn new(inner: Dit) -> Self {
        Self { inner, batches: Default::default() }
    }
}

impl Denoiser for Watched {
    fn objective(&self) -> Objective {
        self.inner.objective()
    }
    fn latent_dim(&self) -> i64 {
        self.inner.latent_dim()
    }
    fn frames_per_thought(&self) -> f64 {
        self.inner.frames_per_thought()
    }
    fn max_frames(&self) -> usize {
        self.inner.max_frames()
    }
    fn device(&self) -> Device {
        self.inner.device()
    }
    fn predict(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor> {
        self.batches.lock().unwrap().push(x.size()[0]);
        self.inner.predict(x, time, condition)
    }
}

#[test]
fn neutral_guidance_is_the_conditional_model() {
    let model = model(Objective::Flow, 6);
    let (noise, condition) = (normal(1, &[2, 6, 30]), condition(2, 30));
    let neutral = sample(&model, &sampler(1.0), &condition, &noise);
    // The same steps by hand, without any notion of guidance.
    let times = Schedule::Uniform.times(5).unwrap();
    let solver = SolverKind::DpmSolver2M.build();
    let mut field = |x: &Tensor, t: f64| {
        tch::no_grad(|| model.predict(x, &Tensor::full([2], t, (Kind::Float, Device::Cpu)), &condition))
    };
    let by_hand =
        model.denormalize(&solver.solve(Objective::Flow, &times, &noise, &mut field).unwrap()).unwrap();
    assert!(neutral.equal(&by_hand));
    assert!(!neutral.equal(&sample(&model, &sampler(2.0), &condition, &noise)));
}

#[test]
fn guidance_that_drops_nothing_changes_nothing() {
    let model = model(Objective::Flow, 6);
    let (noise, condition) = (normal(1, &[1, 6, 30]), condition(1, 30));
    let null = NullBranch { semantic: false, thoughts: false, text: false };
    let guidance = GuidanceScale::new(3.0).unwrap();
    let config = SamplerConfig { steps: 5, guidance, null, ..SamplerConfig::default() };
    let same = sample(&model, &Sampler::new(config).unwrap(), &condition, &noise);
    let difference = largest_difference(&same, &sample(&model, &sampler(1.0), &condition, &noise));
    // Both branches are the same up to the rounding of a batch of two.
    assert!(difference < 2e-4, "{difference}");
}

#[test]
fn guidance_is_left_out_above_its_limit() {
    let (noise, condition) = (normal(1, &[1, 6, 30]), condition(1, 30));
    let guidance = GuidanceScale::new(3.0).unwrap();
    let config = SamplerConfig { steps: 5, guidance, guidance_until: 0.5, ..SamplerConfig::default() };
    let watched = Watched::new(model(Objective::Flow, 6));
    let _ = sample(&watched, &Sampler::new(config).unwrap(), &condition, &noise);
    // Times 1, 0.8, 0.6 conditional only; 0.4 and 0.2 with both branches.
    assert_eq!(*watched.batches.lock().unwrap(), [1, 1, 1, 2, 2]);
}

/// A field that tells which parts of its condition a row keeps.
struct Sum;

impl Denoiser for Sum {
    fn objective(&self) -> Objective {
        Objective::Flow
    }
    fn latent_dim(&self) -> i64 {
        6
    }
    fn frames_per_thought(&self) -> f64 {
        10.0
    }
    fn max_frames(&self) -> usize {
        30
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
    /// 1 for tokens, 10 for thoughts and 100 for text that a row keeps, everywhere.
    fn predict(&self, x: &Tensor, _: &Tensor, condition: &Condition) -> Result<Tensor> {
        let rows = x.size()[0];
        let mut output = x.zeros_like();
        for (there, keep, amount) in [
            (condition.semantic.is_some(), &condition.keep.semantic, 1.0),
            (condition.thoughts.is_some(), &condition.keep.thoughts, 10.0),
            (condition.text.is_some(), &condition.keep.text, 100.0),
        ] {
            if there {
                let kept = keep.as_ref().map_or_else(
                    || Tensor::ones([rows], (Kind::Float, Device::Cpu)),
                    |k| k.to_kind(Kind::Float),
                );
                output += kept.view([rows, 1, 1]) * amount;
            }
        }
        Ok(output)
    }
}

#[test]
fn tokens_and_style_have_scales_of_their_own() {
    let noise = normal(1, &[2, 6, 30]);
    // One Euler step of the flow goes from noise to noise minus the field.
    let field = |guidance: f64, style: Option<f64>, condition: &Condition| {
        let [guidance, style] =
            [Some(guidance), style].map(|scale| scale.map(|s| GuidanceScale::new(s).unwrap()));
        let config = SamplerConfig {
            steps: 1,
            solver: SolverKind::Euler,
            guidance: guidance.unwrap(),
            style_guidance: style,
            ..SamplerConfig::default()
        };
        let found = sample(&Sum, &Sampler::new(config).unwrap(), condition, &noise);
        let field = &noise - found;
        let mean = field.mean(Kind::Float).double_value(&[]);
        assert!(largest_difference(&field, &field.full_like(mean)) < 1e-4);
        (mean * 100.0).round() / 100.0
    };
    let (all, tokens_alone) =
        (condition(2, 30), Condition { thoughts: None, text: None, ..condition(2, 30) });
    assert_eq!(field(2.0, None, &all), 222.0);
    assert_eq!(field(2.0, Some(2.0), &all), 222.0);
    assert_eq!(field(2.0, Some(3.0), &all), 332.0);
    assert_eq!(field(1.0, Some(3.0), &all), 331.0);
    assert_eq!(field(2.0, Some(0.0), &all), 2.0);
    assert_eq!(field(2.0, Some(3.0), &tokens_alone), 2.0);
}

#[test]
fn a_third_branch_runs_only_where_it_matters() {
    let rows = |guidance: f64, style: f64, condition: &Condition| {
        let [guidance, style] = [guidance, style].map(|scale| GuidanceScale::new(scale).unwrap());
        let config =
            SamplerConfig { steps: 1, guidance, style_guidance: Some(style), ..SamplerConfig::default() };
        let watched = Watched::new(model(Objective::Flow, 6));
        let _ = sample(&watched, &Sampler::new(config).unwrap(), condition, &normal(1, &[1, 6, 30]));
        let rows = watched.batches.lock().unwrap();
        rows[0]
    };
    let all = condition(1, 30);
    assert_eq!(
        [rows(2.0, 3.0, &all), rows(2.0, 2.0, &all), rows(1.0, 3.0, &all), rows(1.0, 1.0, &all)],
        [3, 2, 2, 1]
    );
    assert_eq!(rows(2.0, 3.0, &Condition { thoughts: None, text: None, ..condition(1, 30) }), 2);
}

#[test]
fn temperature_is_the_deviation_of_the_first_noise() {
    let model = model(Objective::Flow, 6);
    let (noise, condition) = (normal(1, &[2, 6, 30]), condition(2, 30));
    let config = SamplerConfig { steps: 5, temperature: 0.75, ..SamplerConfig::default() };
    let cooler = sample(&model, &Sampler::new(config).unwrap(), &condition, &noise);
    assert!(cooler.equal(&sample(&model, &sampler(1.0), &condition, &(noise * 0.75))));
}

#[test]
fn known_frames_come_back_bit_for_bit() {
    let model = model(Objective::Angle, 7);
    let noised = Watched::new(common::model(Objective::Angle, 7));
    let (noise, condition) = (normal(1, &[2, 6, 30]), condition(2, 30));
    let mask: Vec<i64> = (0..60).map(|i| i64::from(i % 30 < 9 || i % 30 > 25)).collect();
    let frames = Tensor::from_slice(&mask).reshape([2, 30]).to_kind(Kind::Bool);
    let known = Known { latents: normal(2, &[2, 6, 30]) * 3.0, frames };
    // Both forms: clean to our model, noised to one that was not trained so.
    let forms: [&dyn Denoiser; 2] = [&model, &noised];
    for denoiser in forms {
        for solver in [SolverKind::Euler, SolverKind::Heun, SolverKind::DpmSolver2M] {
            let guidance = GuidanceScale::new(2.0).unwrap();
            let config =
                SamplerConfig { steps: 4, solver, guidance, temperature: 0.8, ..SamplerConfig::default() };
            let sampler = Sampler::new(config).unwrap();
            let request = Request { condition: &condition, noise: &noise, known: Some(&known) };
            let found = sampler.sample(denoiser, &request).unwrap();
            let kept = known.frames.unsqueeze(1).expand([2, 6, 30], false);
            assert!(found.masked_select(&kept).equal(&known.latents.masked_select(&kept)));
            let free = sampler.sample(denoiser, &Request { known: None, ..request }).unwrap();
            let made = kept.logical_not();
            assert!(
                !found.masked_select(&made).equal(&free.masked_select(&made)),
                "the known frames have no influence"
            );
        }
    }
}

#[test]
fn misfits_are_errors_that_name_the_tensor() {
    let model = model(Objective::Flow, 8);
    let (x, time) = (normal(1, &[2, 6, 30]), Tensor::from_slice(&[0.4_f32, 0.8]));
    let refused = |x: &Tensor, time: &Tensor, change: fn(&mut Condition)| {
        let mut condition = condition(2, 30);
        change(&mut condition);
        model.predict(x, time, &condition).unwrap_err().to_string()
    };
    let no = |_: &mut Condition| ();
    assert!(refused(&normal(1, &[2, 5, 30]), &time, no).contains("noised latents"));
    assert!(refused(&normal(1, &[2, 6, 0]), &time, no).contains("noised latents"));
    assert!(refused(&normal(1, &[0, 6, 30]), &time, no).contains("noised latents"));
    assert!(refused(&x, &Tensor::from_slice(&[0.4_f32]), no).contains("time"));
    assert!(refused(&x, &time, |c| c.semantic = Some(tokens(1, 2, 29))).contains("semantic tokens"));
    assert!(refused(&x, &time, |c| c.semantic = Some(tokens(1, 2, 30) + 11)).contains("ids"));
    assert!(refused(&x, &time, |c| c.semantic = Some(normal(1, &[2, 30]))).contains("semantic tokens"));
    assert!(refused(&x, &time, |c| c.text = Some(normal(1, &[2, 8]))).contains("text"));
    assert!(
        refused(&x, &time, |c| c.thoughts.as_mut().unwrap().embeddings = normal(1, &[2, 1, 5]))
            .contains("frame windows")
    );
    assert!(refused(&x, &time, |c| c.known = Some(tokens(1, 2, 30))).contains("known frames"));
    assert!(refused(&x, &time, |c| c.keep.text = Some(tokens(1, 2, 1))).contains("kept text"));
    let bad = SamplerConfig { guidance_until: f64::NAN, ..SamplerConfig::default() };
    assert!(matches!(Sampler::new(bad), Err(Error::Config { .. })));
    let bad = SamplerConfig { temperature: -0.1, ..SamplerConfig::default() };
    assert!(Sampler::new(bad).err().unwrap().to_string().contains("temperature"));
    let null = NullBranch { semantic: false, ..NullBranch::default() };
    let style_guidance = Some(GuidanceScale::NEUTRAL);
    let bad = SamplerConfig { null, style_guidance, ..SamplerConfig::default() };
    assert!(Sampler::new(bad).err().unwrap().to_string().contains("style_guidance"));
    let nan = normal(1, &[2, 6, 30]) * f64::NAN;
    let condition = condition(2, 30);
    let request = Request { condition: &condition, noise: &nan, known: None };
    assert!(sampler(1.0).sample(&model, &request).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn saved_is_loaded_strictly() {
    let model = model(Objective::Angle, 9);
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path(), Storage::Native).unwrap();
    let back = Dit::load(folder.path(), Device::Cpu).unwrap();
    assert_eq!(back.config(), model.config());
    let (x, time) = (normal(1, &[1, 6, 30]), Tensor::from_slice(&[0.4_f32]));
    let condition = condition(1, 30);
    assert!(
        model.predict(&x, &time, &condition).unwrap().equal(&back.predict(&x, &time, &condition).unwrap())
    );
    assert!(model.denormalize(&x).unwrap().equal(&back.denormalize(&x).unwrap()));

    // Another depth: every tensor of the block that is not there, or not wanted, is named.
    for (depth, word) in [(3, "blocks.2.attention.q_proj.weight"), (1, "blocks.1.attention.k_proj.weight")] {
        let config = DitConfig { depth, ..model.config().clone() };
        musicot_core::files::write_json(folder.path().join("config.json"), &config).unwrap();
        let message = Dit::load(folder.path(), Device::Cpu).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    std::fs::write(folder.path().join("config.json"), "{\"latent_dims\": 6}").unwrap();
    assert!(Dit::load(folder.path(), Device::Cpu).unwrap_err().to_string().contains("latent_dims"));
    model.save(folder.path(), Storage::Native).unwrap();
    let weights = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 5]).unwrap();
    assert!(matches!(Dit::load(folder.path(), Device::Cpu), Err(Error::Format { .. })));
    assert!(matches!(Dit::load(folder.path().join("nowhere"), Device::Cpu), Err(Error::Io { .. })));
}

#[test]
fn statistics_are_checked() {
    let mut model = Dit::new(config(Objective::Flow), Device::Cpu, 0).unwrap();
    let (mean, deviation) = (normal(1, &[6]), normal(2, &[6]).abs() + 0.1);
    model.set_latent_statistics(&mean, &deviation).unwrap();
    assert!(model.set_latent_statistics(&normal(1, &[5]), &deviation).is_err());
    assert!(model.set_latent_statistics(&mean, &(deviation * 0.0)).is_err());
    assert!(model.set_latent_statistics(&(mean * f64::INFINITY), &normal(2, &[6]).abs()).is_err());
}
