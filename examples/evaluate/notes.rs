//! Notes as an outside transcriber hears them: `tests/reference/eval_notes.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use musicot::codec::{WavFormat, WavOptions, write_wav};
use musicot::core::AudioBuffer;
use musicot_eval::notes::{Note, Tolerance, note_f1};
use serde::Deserialize;
use tempfile::TempDir;

use crate::common::{Outcome, note, text};
use crate::figure::Figure;

/// The script that transcribes, from the root of the repository.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/eval_notes.py");

/// What the originals are called.
pub const ORIGINAL: &str = "original";

/// A line of the script's output.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    notes: Vec<Note>,
}

/// Clips to be transcribed together: to load the transcriber takes long. Without one, none is kept.
pub struct Clips {
    transcriber: Option<(PathBuf, TempDir)>,
    files: Vec<String>,
}

impl Clips {
    pub fn new(python: Option<&Path>) -> Outcome<Self> {
        let transcriber = match python {
            Some(python) => Some((python.to_owned(), tempfile::tempdir()?)),
            None => None,
        };
        Ok(Self { transcriber, files: Vec::new() })
    }

    /// Keeps a clip until [`Clips::transcribe`]; `number` counts the pieces from 0.
    pub fn add(&mut self, kind: &str, number: usize, audio: &AudioBuffer) -> Outcome {
        if let Some((_, folder)) = &self.transcriber {
            let file = file(kind, number);
            let options = WavOptions { format: WavFormat::Int16, ..WavOptions::default() };
            write_wav(folder.path().join(&file), audio, options)?;
            self.files.push(file);
        }
        Ok(())
    }

    /// Transcribes all clips, or says why not.
    pub fn transcribe(self) -> Transcripts {
        let Some((python, folder)) = self.transcriber else {
            let reason = "needs --transcriber PYTHON, an interpreter with the packages that tests/reference/eval_notes.py names";
            return Transcripts(Err(reason.to_owned()));
        };
        note(format_args!("transcribing {} clips", self.files.len()));
        Transcripts(run(&python, folder.path(), &self.files).map_err(|e| e.to_string()))
    }
}

fn file(kind: &str, number: usize) -> String {
    format!("{kind}-{number}.wav")
}

/// Notes by file.
fn run(python: &Path, folder: &Path, files: &[String]) -> Outcome<BTreeMap<String, Vec<Note>>> {
    let out = folder.join("notes.jsonl");
    let mut command = Command::new(python);
    command.arg(SCRIPT).arg("transcribe").arg(&out).args(files.iter().map(|file| folder.join(file)));
    let ran = command.output().map_err(|e| format!("{}: {e}", python.display()))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.lines().last().unwrap_or("nothing on standard error");
        return Err(format!("{} {SCRIPT}: {}: {last}", python.display(), ran.status).into());
    }
    let mut notes = BTreeMap::new();
    for line in text(&out)?.lines() {
        let Line { file, notes: found } = serde_json::from_str(line)?;
        notes.insert(file, found);
    }
    Ok(notes)
}

/// The notes of all clips, or why there are none.
pub struct Transcripts(Result<BTreeMap<String, Vec<Note>>, String>);

impl Transcripts {
    /// F1 of each piece's copy against its original, both transcribed.
    pub fn f1(&self, kind: &str, pieces: usize) -> Outcome<Vec<f64>> {
        let score = |number| self.pair(&file(ORIGINAL, number), &file(kind, number));
        (0..pieces).map(score).collect()
    }

    /// The mean of [`Transcripts::f1`].
    pub fn figure(&self, name: &str, kind: &str, pieces: usize) -> Outcome<Figure> {
        match &self.0 {
            Ok(_) => Figure::mean_of(name, &self.f1(kind, pieces)?),
            Err(reason) => Ok(Figure::missing(name, reason)),
        }
    }

    /// What a copy that knows nothing of the notes would score: originals against one another.
    pub fn chance(&self, pieces: usize) -> Outcome<Figure> {
        let name = "chance, another piece: note F1";
        match &self.0 {
            Err(reason) => Ok(Figure::missing(name, reason)),
            Ok(_) if pieces < 2 => Ok(Figure::missing(name, "needs at least two pieces")),
            Ok(_) => {
                let other = |number| file(ORIGINAL, (number + 1) % pieces);
                let score = |number| self.pair(&file(ORIGINAL, number), &other(number));
                Figure::mean_of(name, &(0..pieces).map(score).collect::<Outcome<Vec<_>>>()?)
            }
        }
    }

    /// Whether there are notes at all.
    pub fn is_measured(&self) -> bool {
        self.0.is_ok()
    }

    fn pair(&self, original: &str, copy: &str) -> Outcome<f64> {
        let notes = self.0.as_ref().map_err(Clone::clone)?;
        let of = |file: &str| notes.get(file).ok_or_else(|| format!("{SCRIPT} left out {file}"));
        Ok(note_f1(of(original)?, of(copy)?, Tolerance::default())?.f1)
    }
}
