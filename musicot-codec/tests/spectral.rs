//! Laws of the spectral codec on tiny random weights, and of its phases on true magnitudes.
// Helpers outside of test functions; what they expect, a test expects.
#![allow(clippy::unwrap_used)]

use musicot_codec::{AudioCodec, SpectralCodec, SpectralCodecConfig};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{CounterRng, Storage, tensor};
use proptest::prelude::*;

fn tiny() -> SpectralCodec {
    tch::set_num_threads(1);
    let config = SpectralCodecConfig {
        sample_rate_hz: 8_000,
        n_fft: 512,
        latent_n_fft: 512,
        frames_per_latent: 2,
        spectral_hop: 120,
        fine_bins: 128,
        band_width: 8,
        latent_dim: 6,
        bands_per_octave: 1.0,
        pitch_hz: 100.0,
        top_hz: 2000.0,
        dim: 12,
        hidden: 16,
        blocks: 2,
        rounds: 4,
        ..SpectralCodecConfig::default()
    };
    SpectralCodec::new(&config, Device::Cpu, 7).unwrap()
}

fn latents(frames: i64) -> Tensor {
    CounterRng::new(5).normal(0, &[2, 6, frames], Device::Cpu).unwrap()
}

fn decode_in_pieces(codec: &SpectralCodec, latents: &Tensor, cuts: &[i64]) -> Tensor {
    let mut session = codec.decode_session(2).unwrap();
    let (mut audio, mut start) = (Vec::new(), 0);
    for count in cuts.iter().copied().chain(std::iter::once(i64::MAX)) {
        let count = count.min(latents.size()[2] - start);
        audio.push(session.push(&latents.narrow(2, start, count)).unwrap());
        start += count;
    }
    audio.push(session.finish().unwrap());
    Tensor::cat(&audio, 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// However the latents are cut, the samples are the same, bit for bit.
    #[test]
    fn streamed_is_whole(frames in 1_i64..140, cuts in prop::collection::vec(0_i64..60, 0..5)) {
        let (codec, latents) = (tiny(), latents(frames));
        let whole = codec.decode(&latents).unwrap();
        prop_assert_eq!(whole.size(), vec![2, 1, frames * 240]);
        prop_assert!(decode_in_pieces(&codec, &latents, &cuts).equal(&whole));
    }
}

#[test]
fn a_finished_session_is_as_good_as_new() {
    let (codec, latents) = (tiny(), latents(70));
    let mut session = codec.decode_session(2).unwrap();
    let mut run = || {
        let head = session.push(&latents).unwrap();
        Tensor::cat(&[head, session.finish().unwrap()], 2)
    };
    assert!(run().equal(&run()));
}

#[test]
fn a_song_does_not_hear_the_rest_of_its_batch() {
    let (codec, latents) = (tiny(), latents(60));
    let both = codec.decode(&latents).unwrap();
    let alone = codec.decode(&latents.narrow(0, 1, 1)).unwrap();
    let difference = (both.narrow(0, 1, 1) - &alone).abs().max().double_value(&[]);
    // Batched matrix products round otherwise; four rounds of phase projection pass that on.
    assert!(difference < 1e-3 * alone.abs().max().double_value(&[]), "{difference}");
}

#[test]
fn encoding_pads_to_whole_latents_and_empty_stays_empty() {
    let codec = tiny();
    let audio = CounterRng::new(1).normal(0, &[1, 1, 1000], Device::Cpu).unwrap();
    assert_eq!(codec.encode(&audio).unwrap().size(), [1, 6, 5]);
    let none = Tensor::zeros([1, 1, 0], (Kind::Float, Device::Cpu));
    let empty = codec.encode(&none).unwrap();
    assert_eq!(empty.size(), [1, 6, 0]);
    assert_eq!(codec.decode(&empty).unwrap().size(), [1, 1, 0]);
    assert_eq!(codec.frame_rate_hz(), 8000.0 / 240.0);
}

#[test]
fn wrong_input_is_named() {
    let codec = tiny();
    let options = (Kind::Float, Device::Cpu);
    assert!(codec.encode(&Tensor::zeros([1, 2, 480], options)).unwrap_err().to_string().contains("waveform"));
    assert!(codec.decode(&Tensor::zeros([1, 5, 4], options)).unwrap_err().to_string().contains("latents"));
    let nan = Tensor::full([1, 1, 480], f64::NAN, options);
    assert!(codec.encode(&nan).unwrap_err().to_string().contains("NaN"));
    assert!(codec.decode(&Tensor::full([1, 6, 4], f64::INFINITY, options)).is_err());
    assert!(codec.decode_session(0).is_err());
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let refused = |change: fn(&mut SpectralCodecConfig), field: &str| {
        let mut config = SpectralCodecConfig::default();
        change(&mut config);
        let message = SpectralCodec::new(&config, Device::Cpu, 0).err().unwrap().to_string();
        assert!(message.contains(field), "{message}");
    };
    refused(|c| c.latent_dim = 0, "latent_dim");
    refused(|c| c.dim = i64::MAX, "dim");
    refused(|c| c.fine_bins = 2049, "fine_bins");
    refused(|c| c.band_width = 7, "fine_bins");
    refused(|c| c.latent_dim = 100, "latent_dim");
    refused(|c| c.latent_dim = 3000, "latent_dim");
    refused(|c| c.bands_per_octave = f64::NAN, "bands_per_octave");
    refused(|c| c.pitch_hz = 20_000.0, "pitch_hz");
    refused(|c| c.top_hz = 24_000.0, "pitch_hz");
    refused(|c| c.latent_n_fft = 4095, "latent_n_fft");
    refused(|c| c.latent_n_fft = 512, "latent_n_fft");
    refused(|c| c.floor = 0.0, "floor");
    refused(|c| c.floor = f64::NAN, "floor");
    refused(|c| c.spectral_hop = 5000, "hop");
    refused(|c| c.latent_noise = -1.0, "latent_noise");
}

#[test]
fn a_saved_codec_is_the_same_codec() {
    let dir = tempfile::tempdir().unwrap();
    let (codec, latents) = (tiny(), latents(30));
    codec.save(dir.path(), Storage::Native).unwrap();
    let again = SpectralCodec::load(dir.path(), Device::Cpu).unwrap();
    assert!(again.decode(&latents).unwrap().equal(&codec.decode(&latents).unwrap()));
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn codecs_move_between_threads() {
    is_send(&tiny());
    let boxed: Box<dyn AudioCodec> = Box::new(tiny());
    is_send(&boxed);
}

/// Three partials that come and go: what the phases must make of true magnitudes.
fn chord() -> Tensor {
    let frames = 48_000_i64 * 3 / 1920 * 1920;
    let t = Tensor::arange(frames, (Kind::Float, Device::Cpu)) / 48_000.0;
    let voice = |hz: f64, from: f64, to: f64| {
        let gate = t.ge(from).logical_and(&t.lt(to)).to_kind(Kind::Float);
        (&t * (std::f64::consts::TAU * hz)).sin() * gate * 0.2
    };
    (voice(220.0, 0.0, 1.5) + voice(277.18, 0.5, 3.0) + voice(329.63, 1.0, 2.0)).unsqueeze(0)
}

/// Magnitudes of a waveform rendered from true magnitudes are near them; without phases that fit, they are not.
#[test]
fn rendered_magnitudes_are_near_the_true_ones() {
    tch::set_num_threads(1);
    let convergence = |rounds: usize| {
        let config = SpectralCodecConfig { dim: 4, hidden: 4, rounds, ..SpectralCodecConfig::default() };
        let codec = SpectralCodec::new(&config, Device::Cpu, 0).unwrap();
        let linear =
            |x: &Tensor| codec.magnitudes().to_linear(&codec.magnitudes().analyse(x).unwrap()).unwrap();
        let samples = chord();
        let rendered = codec.render(&codec.magnitudes().analyse(&samples).unwrap()).unwrap();
        assert_eq!(rendered.size(), [1, 1, samples.size()[1]]);
        let (wanted, got) = (linear(&samples), linear(&rendered.squeeze_dim(1)));
        ((got - &wanted).norm() / wanted.norm()).double_value(&[])
    };
    let (start, refined) = (convergence(0), convergence(16));
    // Random phases give about 0.7 on such a chord; propagation alone must be far better, and rounds better still.
    assert!(start < 0.25, "propagated: {start}");
    assert!(refined < start && refined < 0.12, "refined: {refined}, propagated: {start}");
}

/// A tone comes back at its pitch, and where it was.
#[test]
fn a_tone_keeps_its_pitch_and_place() {
    tch::set_num_threads(1);
    let config = SpectralCodecConfig { dim: 4, hidden: 4, ..SpectralCodecConfig::default() };
    let codec = SpectralCodec::new(&config, Device::Cpu, 0).unwrap();
    let samples = chord();
    let rendered = codec.render(&codec.magnitudes().analyse(&samples).unwrap()).unwrap();
    let energy = |x: &Tensor, hz: f64, from: i64| {
        let part = x.reshape([-1]).narrow(0, from, 19_200);
        let t = Tensor::arange(19_200, (Kind::Float, Device::Cpu)) * (std::f64::consts::TAU * hz / 48_000.0);
        let (a, b) = ((&part * t.cos()).mean(Kind::Float), (&part * t.sin()).mean(Kind::Float));
        2.0 * (a.double_value(&[]).powi(2) + b.double_value(&[]).powi(2)).sqrt()
    };
    // 329.63 Hz sounds from 1 to 2 s only.
    let during = energy(&rendered, 329.63, 52_800);
    assert!((during - 0.2).abs() < 0.03, "amplitude {during}, expected 0.2");
    assert!(energy(&rendered, 329.63, 9_600) < 0.01);
    // A quarter tone away there is little.
    assert!(energy(&rendered, 339.3, 52_800) < 0.03);
    let loudest = tensor::to_vec(&rendered.abs().max()).unwrap()[0];
    assert!(loudest < 0.8, "{loudest}");
}
