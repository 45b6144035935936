//! A song that is heard while it is being written: its pieces go to a file, or to a player by way of standard output.

mod common;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use common::{Bar, Model, Outcome, model_help, note};
use lexopt::ValueExt;
use musicot::SongStream;
use musicot::codec::{WavFormat, WavOptions, WavWriter};
use musicot::core::AudioBuffer;

const HELP: &str = concat!(
    "\
Makes music piece by piece, in memory that does not grow with its length.

Usage: stream --prompt TEXT [flags]

  stream --prompt \"calm jazz with piano and bass at 90 bpm\" --seconds 600
  stream --prompt \"fast rock\" --raw | aplay -f S16_LE -r 48000 -c 1
  stream --prompt \"fast rock\" --raw | ffplay -f s16le -ar 48000 -

Writes song.wav and manifest.json, or samples.

  --prompt TEXT     what the music is like
  --seconds S       length [60]
  --seed N          another seed, another song [0]
  --drafts N        draw N plans and perform the one nearest to the prompt [as the bundle says, else 1]
  --first-secs S    first window of the diffusion: shorter is heard sooner; as long as the bundle's, the song is that of `generate` [5]
  --raw             16-bit samples, channel by channel, to standard output; no files
  --out DIR         folder to write to [out/stream]
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut prompt, mut secs, mut seed) = (Model::default(), String::new(), 60.0, 0);
    let (mut first_secs, mut drafts, mut raw, mut out) = (5.0, None, false, PathBuf::from("out/stream"));
    let go = common::flags(HELP, |name, args| {
        match name {
            "prompt" => prompt = args.value()?.string()?,
            "seconds" => secs = args.value()?.parse()?,
            "seed" => seed = args.value()?.parse()?,
            "drafts" => drafts = Some(args.value()?.parse()?),
            "first-secs" => first_secs = args.value()?.parse::<f64>()?,
            "raw" => raw = true,
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    if !go {
        return Ok(());
    }
    let started = Instant::now();
    let bundle = model.open()?;
    let mut generator = model.generator(&bundle)?;
    let mut request = generator.request(&prompt).duration_secs(secs).seed(seed);
    let first_frames = (first_secs * bundle.config().token_rate_hz).round();
    request.settings.windows.first_window_frames = first_frames as usize;
    request.settings.drafts = drafts.unwrap_or(request.settings.drafts);
    request.validate()?;
    if !raw {
        common::writable(&out)?;
    }
    let mut stream = generator.generate_stream(&request, &mut Bar::new())?;
    match raw {
        true => play(&mut stream, started),
        false => save(&mut stream, started, &out),
    }
}

/// Little-endian samples of 16 bits to standard output.
fn play(stream: &mut SongStream<'_>, started: Instant) -> Outcome {
    let mut output = io::stdout().lock();
    each(stream, started, |piece| {
        // Frame by frame: all channels of one moment, then those of the next.
        let samples = piece.samples().t().iter().map(|s| (s * 32_767.0).round() as i16).collect::<Vec<_>>();
        let bytes: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
        output
            .write_all(&bytes)
            .and_then(|()| output.flush())
            .map_err(|e| format!("standard output: {e}").into())
    })
}

/// `song.wav` and `manifest.json`.
fn save(stream: &mut SongStream<'_>, started: Instant, out: &Path) -> Outcome {
    let options = WavOptions { format: WavFormat::Int24, ..WavOptions::default() };
    let mut file = None;
    let rate = stream.sample_rate_hz();
    each(stream, started, |piece| {
        if file.is_none() {
            file = Some(WavWriter::create(out.join("song.wav"), rate, piece.channels(), options)?);
        }
        if let Some(file) = &mut file {
            file.append(piece)?;
        }
        Ok(())
    })?;
    if let Some(file) = file {
        file.finish()?;
    }
    stream.manifest().save(out.join("manifest.json"))?;
    common::say_files(out, &["song.wav", "manifest.json"])
}

/// Hands on every piece, and tells how far the song is.
fn each(
    stream: &mut SongStream<'_>,
    started: Instant,
    mut take: impl FnMut(&AudioBuffer) -> Outcome,
) -> Outcome {
    let mut secs = 0.0;
    while let Some(piece) = stream.next().transpose()? {
        take(&piece)?;
        let so_far = started.elapsed().as_secs_f64();
        secs += piece.duration_secs();
        note(format_args!("{secs:6.1} s of audio after {so_far:.1} s"));
    }
    let real_time = started.elapsed().as_secs_f64() / secs;
    note(format_args!("real-time factor {real_time:.2}, loading included"));
    Ok(())
}
