//! Writing a corpus: many pieces at once, resumable, every file whole or absent.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::compose::compose_solo;
use crate::error::{Error, Result};
use crate::family::{Family, Split};
use crate::manifest::{PieceRecord, audio_path, midi_path, stem_path};
use crate::midi::to_midi;
use crate::piece::Piece;
use crate::render::Renderer;
use crate::scores::{Scores, make};
use crate::wav;

/// The package's version, and a number that goes up whenever a seed gives other pieces than before.
const GENERATOR: &str = concat!("musicot-corpus ", env!("CARGO_PKG_VERSION"), ", music 2");

/// How much to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many pieces.
    Pieces(u64),
    /// Pieces until they are together at least so many hours long.
    Hours(f64),
}

/// A corpus to write.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The folder; made if absent.
    pub out: PathBuf,
    /// How much to make.
    pub amount: Amount,
    /// The seed; piece `i` depends only on it, the split and `i` (and on the scores and `solos_from`, if any).
    pub seed: u64,
    /// Which half of a corpus this is.
    pub split: Split,
    /// A General MIDI soundfont (SoundFont 2).
    pub soundfont: PathBuf,
    /// A folder of public-domain scores; some pieces are then arranged from them.
    pub scores: Option<PathBuf>,
    /// Pieces, from the first on, whose parts are written alone too.
    pub stems: u64,
    /// From this piece on each is for one instrument, and the families take turns; `None`: they never do.
    pub solos_from: Option<u64>,
    /// Threads; `None`: one per core.
    pub jobs: Option<usize>,
}

impl Corpus {
    /// Piece `index`: a solo, or whatever [`make`] makes.
    fn piece(&self, index: u64, scores: Option<&Scores>) -> Piece {
        let turn = self.solos_from.and_then(|first| index.checked_sub(first));
        let soloist = turn.and_then(|turn| Family::ALL.get(turn as usize % Family::ALL.len()));
        match soloist {
            Some(family) => compose_solo(self.seed, index, self.split, *family),
            None => make(self.seed, index, self.split, scores),
        }
    }
}

/// What a run made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Pieces rendered in this run.
    pub rendered: usize,
    /// Pieces that were already there.
    pub skipped: usize,
    /// Length of the pieces rendered in this run.
    pub rendered_secs: f64,
    /// Length of all pieces of the manifest.
    pub total_secs: f64,
    /// Time this run took.
    pub elapsed: Duration,
}

/// What must be the same when a run is resumed; kept in `corpus.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    generator: String,
    seed: u64,
    split: Split,
    soundfont: String,
    /// Fingerprint of the scores, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scores: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    solos_from: Option<u64>,
}

/// Called after every piece: pieces done, pieces in all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Writes a corpus; pieces that are already there are kept.
///
/// # Errors
/// Unreadable soundfont, unwritable folder, a folder that holds another corpus, an amount out of range.
pub fn write_corpus(corpus: &Corpus, progress: Progress<'_>) -> Result<Report> {
    let started = Instant::now();
    let renderer = Renderer::open(&corpus.soundfont)?;
    let scores = corpus.scores.as_deref().map(Scores::open).transpose()?;
    let scores = scores.as_ref();
    prepare(corpus, scores)?;
    let count = pieces(corpus, scores)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(corpus.jobs.unwrap_or(0))
        .build()
        .map_err(|source| Error::Setting(format!("threads: {source}")))?;
    let done = AtomicUsize::new(0);
    let rendered = AtomicUsize::new(0);
    let rendered_micros = AtomicU64::new(0);
    let records: Vec<PieceRecord> = pool.install(|| {
        (0..count)
            .into_par_iter()
            .map(|index| {
                let piece = corpus.piece(index, scores);
                if !is_finished(corpus, &piece) {
                    write_piece(corpus, &renderer, &piece)?;
                    rendered.fetch_add(1, Ordering::Relaxed);
                    rendered_micros.fetch_add((piece.duration_secs() * 1e6) as u64, Ordering::Relaxed);
                }
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, count as usize);
                Ok(PieceRecord::of(&piece, index < corpus.stems))
            })
            .collect::<Result<_>>()
    })?;
    write_manifest(corpus, &records)?;
    let rendered = rendered.into_inner();
    Ok(Report {
        rendered,
        skipped: records.len() - rendered,
        rendered_secs: rendered_micros.into_inner() as f64 / 1e6,
        total_secs: records.iter().map(|record| record.duration_secs).sum(),
        elapsed: started.elapsed(),
    })
}

/// The number of pieces; hours are filled by composing, which takes a moment only.
fn pieces(corpus: &Corpus, scores: Option<&Scores>) -> Result<u64> {
    /// More than any corpus of this kind needs, and within six digits.
    const MOST: u64 = 1_000_000;
    const MOST_HOURS: f64 = 8_000.0;
    let count = match corpus.amount {
        Amount::Pieces(count) => count,
        Amount::Hours(hours) if hours > 0.0 && hours <= MOST_HOURS => {
            let mut left = hours * 3600.0;
            let mut count = 0;
            while left > 0.0 {
                left -= corpus.piece(count, scores).duration_secs();
                count += 1;
            }
            count
        }
        Amount::Hours(hours) => {
            return Err(Error::Setting(format!(
                "--hours {hours}: expected more than 0, at most {MOST_HOURS}"
            )));
        }
    };
    if (1..=MOST).contains(&count) {
        Ok(count)
    } else {
        Err(Error::Setting(format!("{count} pieces: expected 1 to {MOST}")))
    }
}

/// Makes the folders and checks that they hold no other corpus.
fn prepare(corpus: &Corpus, scores: Option<&Scores>) -> Result<()> {
    for folder in ["audio", "midi", "stems"] {
        if folder != "stems" || corpus.stems > 0 {
            let path = corpus.out.join(folder);
            fs::create_dir_all(&path).map_err(|source| Error::io(&path, source))?;
        }
    }
    let wanted = Settings {
        generator: GENERATOR.to_owned(),
        seed: corpus.seed,
        split: corpus.split,
        soundfont: corpus
            .soundfont
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        scores: scores.map(|scores| scores.fingerprint().to_owned()),
        solos_from: corpus.solos_from,
    };
    let path = corpus.out.join("corpus.json");
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        let found: Settings = serde_json::from_str(&text).map_err(|source| Error::Json {
            path: path.clone(),
            line: source.line(),
            source,
        })?;
        return check_same(&path, &found, &wanted);
    }
    let text = serde_json::to_string_pretty(&wanted).map_err(|source| Error::Json {
        path: path.clone(),
        line: 0,
        source,
    })?;
    write_whole(&path, text.as_bytes())
}

fn told(setting: Option<&impl ToString>) -> String {
    setting.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn check_same(path: &Path, found: &Settings, wanted: &Settings) -> Result<()> {
    let fields = [
        ("generator", found.generator.clone(), wanted.generator.clone()),
        ("seed", found.seed.to_string(), wanted.seed.to_string()),
        ("split", found.split.name().to_owned(), wanted.split.name().to_owned()),
        ("soundfont", found.soundfont.clone(), wanted.soundfont.clone()),
        ("scores", told(found.scores.as_ref()), told(wanted.scores.as_ref())),
        ("solos from", told(found.solos_from.as_ref()), told(wanted.solos_from.as_ref())),
    ];
    match fields.into_iter().find(|(_, found, wanted)| found != wanted) {
        Some((field, found, wanted)) => {
            Err(Error::OtherRun { path: path.to_path_buf(), field, found, wanted })
        }
        None => Ok(()),
    }
}

/// Whether all files of a piece are there, at their full length.
fn is_finished(corpus: &Corpus, piece: &Piece) -> bool {
    let whole = |path: String| {
        fs::metadata(corpus.out.join(path)).is_ok_and(|data| data.len() == wav::file_bytes(piece.frames()))
    };
    whole(audio_path(piece))
        && corpus.out.join(midi_path(piece)).exists()
        && (piece.index >= corpus.stems || (0..piece.parts.len()).all(|part| whole(stem_path(piece, part))))
}

fn write_piece(corpus: &Corpus, renderer: &Renderer, piece: &Piece) -> Result<()> {
    let sound = renderer.render(piece)?;
    if piece.index < corpus.stems {
        let folder = corpus.out.join("stems").join(piece.id());
        fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, source))?;
        for (index, stem) in sound.stems.iter().enumerate() {
            write_whole(&corpus.out.join(stem_path(piece, index)), &wav::encode(stem))?;
        }
    }
    write_whole(&corpus.out.join(midi_path(piece)), &to_midi(piece))?;
    write_whole(&corpus.out.join(audio_path(piece)), &wav::encode(&sound.mix))
}

fn write_manifest(corpus: &Corpus, records: &[PieceRecord]) -> Result<()> {
    let path = corpus.out.join("manifest.jsonl");
    let mut text = String::new();
    for record in records {
        let line = serde_json::to_string(record).map_err(|source| Error::Json {
            path: path.clone(),
            line: 0,
            source,
        })?;
        text.push_str(&line);
        text.push('\n');
    }
    write_whole(&path, text.as_bytes())
}

/// Writes a file beside its place, then moves it there.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|source| {
        // A file half written (a full disk) is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&part);
        Error::io(path, source)
    })
}
