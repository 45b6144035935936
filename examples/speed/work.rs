//! The pieces of work.

use musicot::codec::{AudioCodec, SpectralCodec};
use musicot::core::tch::{self, Device, Kind, Tensor};
use musicot::lm::{AudioLength, AudioRequest, AudioSong, MusicLm, PlanRequest, PlanSong};
use musicot::{Bundle, Event, Progress, Quiet, Request, Stage, Step};

use crate::Options;
use crate::common::{Outcome, say};

/// Done in each round.
pub const EVERY_ROUND: [&str; 5] = ["nothing", "song", "stream", "codec", "batches"];

/// Done once: they tell of memory and of time that grows, which vary less.
pub const ONCE: [&str; 3] = ["low-memory", "minute", "long"];

/// Songs that are written at once.
pub const BATCHES: [usize; 4] = [1, 2, 4, 8];

const PROMPT: &str = "calm jazz with piano and bass at 90 bpm";

/// Seconds of the first window of a stream.
const FIRST_WINDOW_SECS: f64 = 5.0;

/// Latent frames that are decoded at once.
const PIECE: i64 = 50;

pub fn run(name: &str, options: &Options) -> Outcome {
    match name {
        // libtorch is loaded and asked for something.
        "nothing" => tell("threads", f64::from(tch::get_num_threads()))?,
        "song" => song(options)?,
        "low-memory" => song(options)?,
        "stream" => stream(options, options.secs)?,
        "minute" => stream(options, 60.0)?,
        "long" => stream(options, options.long_secs)?,
        "codec" => codec(options)?,
        "batches" => batches(options)?,
        _ => return Err(format!("there is no work `{name}`").into()),
    }
    match peak_bytes() {
        Some(bytes) => tell("peak", bytes),
        None => Ok(()),
    }
}

/// A line for the parent: `NAME=VALUE`.
fn tell(name: &str, value: f64) -> Outcome {
    say(format_args!("{name}={value}"))
}

/// The most memory that this process had resident, where the system tells.
fn peak_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// A whole song, kept in memory; the first token that is written is told.
fn song(options: &Options) -> Outcome {
    let bundle = options.model.open()?;
    let mut generator = options.model.generator(&bundle)?;
    let request = generator.request(PROMPT).duration_secs(options.secs);
    let mut first = FirstToken::default();
    let song = generator.generate(&request, &mut first)?;
    first.outcome?;
    tell("secs", song.audio.duration_secs())
}

/// Tells of the first thing that the language model wrote.
struct FirstToken {
    is_told: bool,
    outcome: Outcome,
}

impl Default for FirstToken {
    fn default() -> Self {
        Self { is_told: false, outcome: Ok(()) }
    }
}

impl Progress for FirstToken {
    fn on_event(&mut self, event: Event) -> bool {
        if !self.is_told && event.step == Step::Plan && event.done > 0 {
            self.is_told = true;
            self.outcome = tell("first token", 0.0);
        }
        self.outcome.is_ok()
    }
}

/// A song piece by piece; every piece is told with the seconds of audio so far.
fn stream(options: &Options, secs: f64) -> Outcome {
    let bundle = options.model.open()?;
    let mut generator = options.model.generator(&bundle)?;
    let mut request: Request = generator.request(PROMPT).duration_secs(secs);
    let frames = (FIRST_WINDOW_SECS * bundle.config().token_rate_hz).round();
    request.settings.windows.first_window_frames = frames as usize;
    let (mut so_far, mut is_past_half) = (0.0, false);
    for piece in generator.generate_stream(&request, &mut Quiet)? {
        if so_far == 0.0 {
            tell("first audio", 0.0)?;
        }
        so_far += piece?.duration_secs();
        // A stream that comes in one piece has no second half.
        if !is_past_half && (secs / 2.0..secs).contains(&so_far) {
            is_past_half = true;
            tell("half", so_far)?;
        }
    }
    tell("secs", so_far)
}

/// Latents of half a minute to a waveform, piece by piece.
fn codec(options: &Options) -> Outcome {
    let bundle = options.model.open()?;
    let codec = SpectralCodec::load(bundle.stage_dir(Stage::Codec)?, Device::Cpu)?;
    let frames = (options.secs * codec.frame_rate_hz()).round() as i64;
    let latents = Tensor::f_zeros([1, codec.latent_dim(), frames], (Kind::Float, Device::Cpu))?;
    let decode = || -> Outcome<f64> {
        let mut session = codec.decode_session(1)?;
        let mut samples = 0;
        for start in (0..frames).step_by(PIECE as usize) {
            let piece = latents.f_narrow(2, start, PIECE.min(frames - start))?;
            samples += session.push(&piece)?.size3()?.2;
        }
        samples += session.finish()?.size3()?.2;
        Ok(samples as f64 / f64::from(codec.sample_rate_hz()))
    };
    decode()?;
    tell("start", 0.0)?;
    tell("secs", decode()?)
}

/// Audio tokens of several songs at once, each behind a plan of its own.
fn batches(options: &Options) -> Outcome {
    let bundle = options.model.open()?;
    let lm = MusicLm::load_fast(bundle.stage_dir(Stage::Lm)?, Default::default())?;
    for songs in BATCHES {
        let count = write(&lm, &bundle, songs, options.secs)?;
        tell(&format!("batch {songs}"), count as f64)?;
    }
    Ok(())
}

/// Tokens that were written in all. The plans come first and are told, so that they do not count.
fn write(lm: &MusicLm, bundle: &Bundle, songs: usize, secs: f64) -> Outcome<usize> {
    let policy = &bundle.config().defaults.policy;
    let count = lm.config().tokens_for(secs)?;
    let numbers = 0..songs as u64;
    let asked = numbers.clone().map(|number| PlanSong { number, ..PlanSong::default() }).collect();
    let asked = PlanRequest { songs: asked, windows: lm.config().windows_for(count), seed: 0 };
    let plans = lm.thoughts(&asked, &policy.thoughts)?.finish()?;
    let song = |(number, plan)| AudioSong { number, plan: Some(plan), ..AudioSong::default() };
    let asked = AudioRequest {
        songs: numbers.zip(plans).map(song).collect(),
        length: AudioLength::exact(count),
        seed: 0,
    };
    tell(&format!("planned {songs}"), 0.0)?;
    Ok(lm.write(&asked, &policy.audio)?.iter().map(Vec::len).sum())
}
