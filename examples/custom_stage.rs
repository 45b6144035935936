//! A codec of one's own in the generator: a bank of sine waves whose loudness the latents say.
//!
//! The bundle's diffusion was trained on another codec's latents, so that what is heard is not yet music; to make it so, train the
//! diffusion on what `encode` gives (`train encode`, `train diffusion`). `--check` turns a recording into latents of this codec and back.

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::{Bar, Model, Outcome, model_help, say};
use lexopt::ValueExt;
use musicot::codec::{self, AudioCodec, DecodeSession, WavOptions, write_wav};
use musicot::core::tch::{Kind, Tensor};
use musicot::core::{self, AudioBuffer, files, shape, tensor};
use musicot::diffusion::DitConfig;
use musicot::{Generator, Stage};

const HELP: &str = concat!(
    "\
Generates with a codec that is written in this example.

Usage: custom_stage [--prompt TEXT] [flags]

  custom_stage --prompt \"calm piano\" --seconds 5
  custom_stage --check song.mp3

  --prompt TEXT   [calm piano]
  --seconds S     length [5]
  --check FILE    no generation: this codec's round trip of a recording
  --out FILE      [out/custom_stage.wav]
",
    model_help!()
);

/// Magnitudes of sine waves, one per band from 40 Hz to 10 kHz: a latent is the natural logarithm of a band's loudness.
struct SineBank {
    sample_rate_hz: u32,
    hop: i64,
    bands: i64,
}

impl SineBank {
    /// `[bands, count]`: sine or cosine waves from sample `start` on.
    fn waves(&self, start: i64, count: i64, is_cosine: bool) -> codec::Result<Tensor> {
        let turns =
            |band: i64| 40.0 * 250_f64.powf(band as f64 / self.bands as f64) / f64::from(self.sample_rate_hz);
        let value = |band: i64, sample: i64| {
            let phase = std::f64::consts::TAU * (turns(band) * (start + sample) as f64).fract();
            if is_cosine { phase.cos() } else { phase.sin() }
        };
        let values: Vec<f32> = (0..self.bands)
            .flat_map(|band| (0..count).map(move |sample| value(band, sample) as f32))
            .collect();
        Ok(Tensor::f_from_slice(&values)?.f_reshape([self.bands, count])?)
    }
}

impl AudioCodec for SineBank {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn channels(&self) -> i64 {
        1
    }

    fn hop_frames(&self) -> i64 {
        self.hop
    }

    fn latent_dim(&self) -> i64 {
        self.bands
    }

    fn encode(&self, waveform: &Tensor) -> codec::Result<Tensor> {
        shape::expect("waveform", waveform, &[shape::ANY, 1, shape::ANY])?;
        shape::expect_finite("waveform", waveform)?;
        let (batch, samples) = (waveform.size()[0], waveform.size()[2]);
        let frames = (samples + self.hop - 1) / self.hop;
        let padded = waveform
            .f_constant_pad_nd([0, frames * self.hop - samples])?
            .f_reshape([batch, frames, self.hop])?;
        let part = |is_cosine| {
            Ok::<_, codec::Error>(padded.f_matmul(&self.waves(0, self.hop, is_cosine)?.f_transpose(0, 1)?)?)
        };
        let loudness = part(true)?.f_hypot(&part(false)?)?.f_mul_scalar(2.0 / self.hop as f64)?;
        Ok(loudness.f_clamp_min(1e-4)?.f_log()?.f_transpose(1, 2)?.f_contiguous()?)
    }

    fn decode_session(&self, batch: i64) -> codec::Result<Box<dyn DecodeSession + '_>> {
        let before = Tensor::f_zeros([batch, self.bands], (Kind::Float, core::tch::Device::Cpu))?;
        Ok(Box::new(Playing { bank: self, silence: before.shallow_clone(), before, position: 0 }))
    }
}

/// Waves that go on from frame to frame, with loudness sliding from one to the next.
struct Playing<'a> {
    bank: &'a SineBank,
    silence: Tensor,
    before: Tensor,
    position: i64,
}

impl DecodeSession for Playing<'_> {
    fn push(&mut self, latents: &Tensor) -> codec::Result<Tensor> {
        let (batch, hop) = (self.silence.size()[0], self.bank.hop);
        shape::expect("latents", latents, &[batch, self.bank.bands, shape::ANY])?;
        shape::expect_finite("latents", latents)?;
        let slide = Tensor::f_arange(hop, (Kind::Float, latents.device()))?.f_div_scalar(hop as f64)?;
        let mut made = vec![Tensor::f_zeros([batch, 1, 0], (Kind::Float, latents.device()))?];
        for frame in 0..latents.size()[2] {
            // Latents of another codec may be anything: no band becomes louder than a tenth of full scale.
            let now = latents.f_select(2, frame)?.f_clamp(-12.0, 0.1_f64.ln())?.f_exp()?;
            let loudness = self.before.f_unsqueeze(-1)?.f_lerp_tensor(&now.f_unsqueeze(-1)?, &slide)?;
            let waves = self.bank.waves(self.position, hop, false)?;
            made.push(loudness.f_mul(&waves)?.f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?);
            (self.before, self.position) = (now, self.position + hop);
        }
        Ok(Tensor::f_cat(&made, -1)?)
    }

    fn finish(&mut self) -> codec::Result<Tensor> {
        (self.before, self.position) = (self.silence.shallow_clone(), 0);
        Ok(Tensor::f_zeros([self.silence.size()[0], 1, 0], (Kind::Float, self.silence.device()))?)
    }
}

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut prompt, mut secs) = (Model::default(), "calm piano".to_owned(), 5.0);
    let (mut check, mut out) = (None, PathBuf::from("out/custom_stage.wav"));
    let go = common::flags(HELP, |name, args| {
        match name {
            "prompt" => prompt = args.value()?.string()?,
            "seconds" => secs = args.value()?.parse()?,
            "check" => check = Some(PathBuf::from(args.value()?)),
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    if !go {
        return Ok(());
    }
    let bundle = model.open()?;
    let (rates, denoiser) = (
        bundle.config(),
        files::read_json::<DitConfig>(bundle.stage_dir(Stage::Diffusion)?.join("config.json"))?,
    );
    let hop = (f64::from(rates.sample_rate_hz) / rates.token_rate_hz).round() as i64;
    let bank = SineBank { sample_rate_hz: rates.sample_rate_hz, hop, bands: denoiser.latent_dim };
    let audio = match check {
        Some(path) => round_trip(&bank, &path)?,
        None => generate(model.generator(&bundle)?.with_codec(Box::new(bank)), &prompt, secs)?,
    };
    write_wav(&out, &audio, WavOptions::default())?;
    say(format_args!("{:.1} s in {}", audio.duration_secs(), out.display()))
}

fn generate(mut generator: Generator, prompt: &str, secs: f64) -> Outcome<AudioBuffer> {
    let request = generator.request(prompt).duration_secs(secs);
    Ok(generator.generate(&request, &mut Bar::new())?.audio)
}

fn round_trip(bank: &SineBank, path: &Path) -> Outcome<AudioBuffer> {
    let original = common::head(path, bank.sample_rate_hz, 60.0)?;
    let waveform = tensor::from_array(original.samples().view(), core::tch::Device::Cpu)?.f_unsqueeze(0)?;
    let decoded = bank.decode(&bank.encode(&waveform)?)?;
    Ok(AudioBuffer::mono(tensor::to_vec(&decoded.f_flatten(0, -1)?)?, bank.sample_rate_hz)?)
}
