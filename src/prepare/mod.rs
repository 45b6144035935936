//! A folder of recordings to a checked manifest ([`musicot_core::train::Dataset`]).
//!
//! Beside a recording `NAME.wav` (or flac, ogg, mp3, m4a) may lie what is known of it; every file is optional:
//!
//! | File | Holds |
//! |---|---|
//! | `NAME.txt` | captions, one a line |
//! | `NAME.lrc` or `NAME.lyrics.json` | words with their times: LRC ([`parse_lrc`]), or a list of [`LyricLine`](musicot_core::train::LyricLine) |
//! | `NAME.sections.json` | the form: a list of [`Section`](musicot_core::train::Section) |
//! | `NAME.tags.json` | tempo, key, style, mood, instruments: [`Tags`](musicot_core::train::Tags) |
//! | `NAME.stems/` or `stems/NAME/` | separate recordings of the parts, each named by its family: `piano.wav`, `drums-2.wav` |
//!
//! Every recording is decoded from start to end, so that a manifest never names a file that a trainer cannot read. All problems are
//! reported at once, each with its file.

mod companions;
mod listen;
mod lrc;
mod scan;
mod stems;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use musicot_core::Error as CoreError;
use musicot_core::files::write_atomic;
use musicot_core::train::{Record, Split};

pub use lrc::parse_lrc;

use crate::training::{PieceProgress, tell};
use crate::{Error, Result};

/// How a folder is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What the recordings are for.
    pub split: Split,
    /// Whether recordings with problems are left out and the others written; otherwise a problem keeps the manifest from being written.
    pub skip_bad: bool,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What was expected, and what was found.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Errors of readers name the file already.
        let path = self.path.display().to_string();
        match self.reason.starts_with(&path) {
            true => f.write_str(&self.reason),
            false => write!(f, "{path}: {}", self.reason),
        }
    }
}

/// What was found in a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Recordings without problems.
    pub records: usize,
    /// Their length in all, seconds.
    pub secs: f64,
    /// Their stems in all.
    pub stems: usize,
    /// Every problem, in the order of the files.
    pub problems: Vec<Problem>,
    /// Transcripts, captions, forms, tags and stem folders without a recording.
    pub unused: Vec<PathBuf>,
    /// Whether the manifest was written.
    pub is_written: bool,
}

/// Reads a folder and its folders and writes their manifest, whole or not at all.
///
/// Paths in the manifest are relative to it where it lies in the folder or above it, and absolute elsewhere.
///
/// # Errors
/// The folder cannot be read or holds no recording, the manifest cannot be written, or the caller stopped. Problems of single files
/// are no errors: see [`Report::problems`].
pub fn prepare(
    folder: &Path,
    manifest: &Path,
    options: &Options,
    progress: &mut PieceProgress<'_>,
) -> Result<Report> {
    let found = scan::scan(folder)?;
    if found.recordings.is_empty() {
        return Err(Error::input(
            "folder",
            format!("{} holds no recording (wav, flac, ogg, mp3, m4a)", folder.display()),
        ));
    }
    let root = manifest_root(manifest)?;
    let (mut records, mut report) = (Vec::new(), Report { unused: found.unused(), ..Report::default() });
    let total = found.recordings.len();
    for (index, path) in found.recordings.iter().enumerate() {
        match record(folder, path, &root, options.split) {
            Ok(record) => records.push(record),
            Err(problems) => report.problems.extend(problems),
        }
        tell(progress, index + 1, total)?;
    }
    report.problems.extend(found.repeated());
    // Of two recordings of one name neither can be the right one.
    let repeated = found.repeated_ids();
    records.retain(|record| !repeated.contains(&record.id));
    report.records = records.len();
    report.secs = records.iter().map(|record| record.duration_secs).sum();
    report.stems = records.iter().map(|record| record.stems.len()).sum();
    report.is_written = !records.is_empty() && (report.problems.is_empty() || options.skip_bad);
    if report.is_written {
        write(manifest, &records)?;
    }
    Ok(report)
}

/// The folder that the manifest will lie in, as an absolute path.
fn manifest_root(manifest: &Path) -> Result<PathBuf> {
    let parent = match manifest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(CoreError::io(parent))?;
    Ok(parent.canonicalize().map_err(CoreError::io(parent))?)
}

/// A path as the manifest names it.
fn named(path: &Path, root: &Path) -> Result<PathBuf> {
    let full = path.canonicalize().map_err(CoreError::io(path))?;
    let named = full.strip_prefix(root).map(Path::to_owned).unwrap_or(full);
    match named.to_str() {
        Some(_) => Ok(named),
        None => Err(Error::input("path", format!("{} is not UTF-8", path.display()))),
    }
}

/// Everything about one recording, or everything that is wrong with it.
fn record(folder: &Path, path: &Path, root: &Path, split: Split) -> Result<Record, Vec<Problem>> {
    let secs = listen::duration_secs(path).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut known = |problem: Problem| problems.push(problem);
    let captions = companions::captions(path).unwrap_or_else(|problem| {
        known(problem);
        Vec::new()
    });
    let lyrics = companions::lyrics(path, secs).unwrap_or_else(|problem| {
        known(problem);
        Vec::new()
    });
    let sections = companions::sections(path, secs).unwrap_or_else(|problem| {
        known(problem);
        Vec::new()
    });
    let tags = companions::tags(path).unwrap_or_else(|problem| {
        known(problem);
        Default::default()
    });
    let stems = stems::stems(path, secs, root).unwrap_or_else(|found| {
        found.into_iter().for_each(&mut known);
        Vec::new()
    });
    let audio = named(path, root).unwrap_or_else(|error| {
        known(Problem { path: path.to_owned(), reason: error.to_string() });
        PathBuf::new()
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let id = scan::id(folder, path);
    Ok(Record { id, audio, duration_secs: secs, captions, tags, lyrics, sections, stems, split })
}

fn write(manifest: &Path, records: &[Record]) -> Result<()> {
    let lines: Vec<String> = records
        .iter()
        .map(|record| serde_json::to_string(record).map_err(|e| CoreError::format(manifest, e.to_string())))
        .collect::<Result<_, _>>()?;
    Ok(write_atomic(manifest, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))?)
}
