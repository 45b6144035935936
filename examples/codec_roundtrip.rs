//! A recording to latents and back, with figures of what was kept.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{Model, Outcome, model_help, say};
use lexopt::ValueExt;
use musicot::Stage;
use musicot::codec::{AudioCodec, SpectralCodec, WavOptions, write_wav};
use musicot::core::{AudioBuffer, tch, tensor};
use musicot_eval::chroma::{Chroma, similarity};
use musicot_eval::onsets::{onset_f1, onset_times};
use musicot_eval::spectral::log_spectral_distance;

const HELP: &str = concat!(
    "\
Encodes a recording to latents, decodes them to a wav file, and compares the two.

Usage: codec_roundtrip RECORDING [flags]

  codec_roundtrip song.mp3
  codec_roundtrip song.flac --seconds 30 --out out/check.wav

  --seconds S   at most so much of the recording [60]
  --out FILE    the decoded sound [out/codec_roundtrip.wav]
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut secs, mut out) = (Model::default(), 60.0, PathBuf::from("out/codec_roundtrip.wav"));
    let words = common::words(HELP, |name, args| {
        match name {
            "seconds" => secs = args.value()?.parse()?,
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let recording = common::one(words, "one recording")?;
    let codec = SpectralCodec::load(model.open()?.stage_dir(Stage::Codec)?, model.device)?;
    let original = common::head(&recording, codec.sample_rate_hz(), secs)?;
    let waveform = tensor::from_array(original.samples().view(), model.device)?.f_unsqueeze(0)?;
    let latents = tch::no_grad(|| codec.encode(&waveform))?;
    // The last latent frame is filled up with silence, which is not part of the recording.
    let decoded = tch::no_grad(|| codec.decode(&latents))?.f_narrow(-1, 0, original.frames() as i64)?;
    let decoded = AudioBuffer::mono(tensor::to_vec(&decoded.f_flatten(0, -1)?)?, codec.sample_rate_hz())?;
    write_wav(&out, &decoded, WavOptions::default())?;

    say(format_args!("{:.1} s, latents {:?}", original.duration_secs(), latents.size()))?;
    let chroma = similarity(&Chroma::of(&original)?, &Chroma::of(&decoded)?);
    say(match chroma {
        Ok(cosine) => format!("chroma cosine         {cosine:.3}"),
        Err(reason) => format!("chroma cosine         none: {reason}"),
    })?;
    let onsets = onset_f1(&onset_times(&original)?, &onset_times(&decoded)?, 0.05)?;
    say(format_args!("onset F1 within 50 ms {:.3}", onsets.f1))?;
    say(format_args!("log-spectral distance {:.2} dB", log_spectral_distance(&original, &decoded)?))?;
    say(out.display())
}
