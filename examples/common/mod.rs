//! What the examples share: arguments, errors on one line, threads, a progress bar, output folders.
#![allow(dead_code, unused_macros, unused_imports)] // each example uses a part

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, Parser, ValueExt};
use musicot::codec::{AudioReader, Channels};
use musicot::core::AudioBuffer;
use musicot::core::tch::{self, Device};
use musicot::lm::{MusicLmConfig, Tags, tags};
use musicot::{Bundle, Event, Generator, MemoryMode, Progress, Stage, Step};

/// What an example ends with.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What plans and recordings are asked about when nothing else is.
pub const ANCHORS: [&str; 12] = [
    "piano",
    "organ",
    "guitar",
    "bass",
    "strings",
    "brass",
    "woodwind",
    "synth",
    "drums",
    "calm",
    "energetic",
    "a quiet ending",
];

/// Runs an example: an error becomes one line on standard error, and exit code 1.
pub fn exit(run: fn() -> Outcome) -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("error: {}", with_sources(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

/// An error and its sources, on one line; a source that the error quotes already is not repeated.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line on standard output. Unlike `println!` it does not panic when nobody reads, or the disk behind it is full.
pub fn say(line: impl Display) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| format!("standard output: {e}"))?;
    Ok(())
}

/// A line on standard error; there is nowhere to report that it failed.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Reads the command line: `on` takes a flag's name and value, and returns whether it knows the flag. Returns the words that are not
/// flags, or `None` when help was asked for and given.
pub fn words(
    help: &str,
    mut on: impl FnMut(&str, &mut Parser) -> Outcome<bool>,
) -> Outcome<Option<Vec<PathBuf>>> {
    let (mut args, mut words) = (Parser::from_env(), Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(help.trim_end())?;
                return Ok(None);
            }
            Arg::Long(name) => {
                let name = name.to_owned();
                let is_known = on(&name, &mut args).map_err(|e| format!("--{name}: {e}"))?;
                if !is_known {
                    return Err(format!("there is no flag --{name}; --help lists them").into());
                }
            }
            Arg::Value(word) => words.push(PathBuf::from(word)),
            Arg::Short(letter) => return Err(format!("there is no flag -{letter}; --help lists them").into()),
        }
    }
    Ok(Some(words))
}

/// [`words`] for a command line of flags alone; returns whether to go on.
pub fn flags(help: &str, on: impl FnMut(&str, &mut Parser) -> Outcome<bool>) -> Outcome<bool> {
    match words(help, on)?.as_deref() {
        None => Ok(false),
        Some([]) => Ok(true),
        Some([word, ..]) => {
            Err(format!("what is `{}`? --help tells how to call this", word.display()).into())
        }
    }
}

/// A text file.
pub fn text(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// At most `secs` seconds of a recording, mono at `rate_hz`; says so when that is not all of it.
pub fn head(path: &Path, rate_hz: u32, secs: f64) -> Outcome<AudioBuffer> {
    let most = (secs * f64::from(rate_hz)).round();
    if !(1.0..=1e10).contains(&most) {
        return Err(format!("expected seconds of more than 0 and less than a day, got {secs}").into());
    }
    let mut samples: Vec<f32> = Vec::new();
    for block in AudioReader::open(path)?.with_target(rate_hz, Channels::Mono)? {
        samples.extend(block?.samples().iter());
        if samples.len() > most as usize {
            note(format_args!("note: only the first {secs} s of {} are used", path.display()));
            break;
        }
    }
    samples.truncate(most as usize);
    Ok(AudioBuffer::mono(samples, rate_hz)?)
}

/// The only word of a command line.
pub fn one(mut words: Vec<PathBuf>, what: &str) -> Outcome<PathBuf> {
    match (words.pop(), words.is_empty()) {
        (Some(word), true) => Ok(word),
        _ => Err(format!("expected {what}; --help shows how").into()),
    }
}

/// A value split at commas.
pub fn list(args: &mut Parser) -> Outcome<Vec<String>> {
    let text = args.value()?.string()?;
    Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// The model that an example works with.
pub struct Model {
    pub bundle: PathBuf,
    pub device: Device,
    memory: MemoryMode,
    threads: Option<i32>,
}

/// The flags of [`Model`], for help texts.
macro_rules! model_help {
    () => {
        "  --bundle DIR     trained model [models/mini]
  --device D       cpu, cuda, cuda:N or auto [cpu]
  --threads N      threads of libtorch [2, or as many as the machine has]
"
    };
}
pub(crate) use model_help;

impl Default for Model {
    fn default() -> Self {
        Self { bundle: "models/mini".into(), device: Device::Cpu, memory: MemoryMode::KeepAll, threads: None }
    }
}

impl Model {
    /// Takes one of the flags `--bundle`, `--device`, `--threads`, `--low-memory`.
    pub fn take(&mut self, name: &str, args: &mut Parser) -> Outcome<bool> {
        match name {
            "bundle" => self.bundle = args.value()?.into(),
            "device" => self.device = musicot::core::device::parse(&args.value()?.string()?)?,
            "threads" => self.threads = Some(positive(args.value()?.parse()?)?),
            "low-memory" => self.memory = MemoryMode::OneStage,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opens the bundle, whose files are checked, and sets the number of threads.
    pub fn open(&self) -> Outcome<Bundle> {
        set_threads(self.threads, 2);
        if !self.bundle.is_dir() {
            let dir = self.bundle.display();
            return Err(format!("bundle {dir}: not found; train one with `cargo xtask train-mini`, or name yours with --bundle DIR").into());
        }
        Ok(Bundle::open(&self.bundle)?)
    }

    /// Threads of libtorch that [`Model::open`] sets.
    pub fn threads(&self) -> i32 {
        threads(self.threads, 2)
    }

    /// A generator of an opened bundle.
    pub fn generator(&self, bundle: &Bundle) -> Outcome<Generator> {
        Ok(Generator::open(bundle, self.device)?.with_memory(self.memory))
    }
}

/// Sets the threads of libtorch: those asked for, or as many as there are cores, at most `most`.
pub fn set_threads(asked: Option<i32>, most: i32) {
    tch::set_num_threads(threads(asked, most));
}

fn threads(asked: Option<i32>, most: i32) -> i32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as i32);
    asked.unwrap_or(cores.min(most))
}

/// A count of at least 1.
pub fn positive(count: i32) -> Outcome<i32> {
    if count >= 1 { Ok(count) } else { Err(format!("expected at least 1, got {count}").into()) }
}

/// The length of a clip in seconds: a shorter one has no plan to speak of, and no tempo that could be told.
pub fn seconds(secs: f64) -> Outcome<f64> {
    if (1.0..=600.0).contains(&secs) { Ok(secs) } else { Err(format!("expected 1..=600, got {secs}").into()) }
}

/// Takes the flag of a stage, such as `--codec DIR`; whether it is one.
pub fn stage_dir(name: &str, args: &mut Parser, dirs: &mut BTreeMap<Stage, PathBuf>) -> Outcome<bool> {
    let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == name) else { return Ok(false) };
    dirs.insert(stage, args.value()?.into());
    Ok(true)
}

/// Makes the folder and proves, before minutes of work, that files can be written to it.
pub fn writable(dir: &Path) -> Outcome {
    let failed = |e: io::Error| format!("{}: cannot be written to: {e}", dir.display());
    std::fs::create_dir_all(dir).map_err(failed)?;
    tempfile::tempfile_in(dir).and_then(|mut file| file.write_all(b"musicot")).map_err(failed)?;
    Ok(())
}

/// Prints where files are.
pub fn say_files(dir: &Path, names: &[&str]) -> Outcome {
    names.iter().try_for_each(|name| say(dir.join(name).display()))
}

/// Tags from words such as `jazz,calm,piano`. A word that the bundle's model has no tag for is kept as an instrument, so that the
/// manifest reports it as unknown.
pub fn tags(bundle: &Bundle, words: &[String]) -> Outcome<Tags> {
    let config: MusicLmConfig =
        musicot::core::files::read_json(bundle.stage_dir(Stage::Lm)?.join("config.json"))?;
    Ok(words.iter().fold(Tags::default(), |known, word| {
        let mut named = tags::parse(word, &config.vocab.tags);
        if named.is_empty() {
            named.instruments.push(word.clone());
        }
        let instruments = [known.instruments.clone(), named.instruments.clone()].concat();
        Tags { instruments, ..known.or(named) }
    }))
}

/// Tells of every tenth recording that was worked on.
pub fn recordings(done: usize, total: usize) -> bool {
    if done.is_multiple_of(10) || done == total {
        note(format_args!("{done} of {total} recordings"));
    }
    true
}

/// A progress bar on standard error, one per step; plain lines where that is not a terminal.
pub struct Bar {
    bar: ProgressBar,
    step: Option<Step>,
}

impl Bar {
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{prefix:>18} [{bar:30}] {pos}/{len} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::new(1).with_style(style), step: None }
    }
}

impl Progress for Bar {
    fn on_event(&mut self, event: Event) -> bool {
        if self.step != Some(event.step) {
            self.step = Some(event.step);
            self.bar.reset();
            self.bar.set_prefix(event.step.label());
            self.bar.set_length(event.total as u64);
            if self.bar.is_hidden() {
                note(format_args!("{} ...", event.step.label()));
            }
        }
        self.bar.set_position(event.done as u64);
        if event.done == event.total && !self.bar.is_hidden() {
            self.bar.abandon();
            note("");
        }
        true
    }
}
