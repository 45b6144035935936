//! Pieces arranged from scores in the public domain.

mod arrange;
mod key;
mod read;

use std::fs;
use std::path::{Path, PathBuf};

use crate::compose::compose;
use crate::error::{Error, Result};
use crate::family::Split;
use crate::piece::Piece;
use crate::rng::{Purpose, Rng};
pub use read::Provenance;
use read::Score;

/// Share of the pieces that are arrangements, where there are scores.
const SHARE: f64 = 0.2;
/// One score in so many is kept for held-out pieces.
const HELD_OUT_EVERY: u64 = 6;

/// A folder of scores: MIDI files, each with a JSON file of its provenance.
#[derive(Debug)]
pub struct Scores {
    train: Vec<Score>,
    heldout: Vec<Score>,
    fingerprint: String,
}

impl Scores {
    /// Reads all `.mid` files of a folder, in the order of their names.
    ///
    /// # Errors
    /// When the folder or a file cannot be read, a file is no MIDI file, or its provenance is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        let entries = fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|source| Error::io(folder, source)))
            .collect::<Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "mid"));
        paths.sort();
        let mut scores = Self { train: Vec::new(), heldout: Vec::new(), fingerprint: String::new() };
        let mut digest = FNV_START;
        for path in paths {
            let score = read::read(&path)?;
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            digest = fnv(digest, name.as_bytes());
            digest = fnv(digest, &fs::read(&path).map_err(|source| Error::io(&path, source))?);
            // All movements of a work are in one half.
            let is_held_out = fnv(FNV_START, score.provenance.file.as_bytes()).is_multiple_of(HELD_OUT_EVERY);
            if is_held_out { &mut scores.heldout } else { &mut scores.train }.push(score);
        }
        scores.fingerprint = format!("{} files, {digest:016x}", scores.train.len() + scores.heldout.len());
        Ok(scores)
    }

    /// Number and digest of the files, to tell whether a corpus goes on with the same ones.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn of(&self, split: Split) -> &[Score] {
        match split {
            Split::Train => &self.train,
            Split::Heldout => &self.heldout,
        }
    }
}

/// Piece `index`: composed, or now and then arranged from one of the scores.
pub fn make(seed: u64, index: u64, split: Split, scores: Option<&Scores>) -> Piece {
    let mut rng = Rng::for_piece(seed, index, Purpose::Scores);
    let pool = scores.map_or(&[][..], |scores| scores.of(split));
    let wanted = !pool.is_empty() && rng.chance(SHARE);
    let arranged = wanted.then(|| arrange::piece(pool, seed, index, split, &mut rng)).flatten();
    arranged.unwrap_or_else(|| compose(seed, index, split))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The 64-bit FNV-1a hash of some more bytes.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
