//! Lyrics as tokens, through a `tokenizer.json`.

use std::path::{Path, PathBuf};

use musicot_core::files::write_atomic;
use tokenizers::Tokenizer;

use crate::{Error, Result};

/// Name of the file in a stage directory.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// Bytes beyond which a word is not one; it is cut rather than searched for merges.
const LONGEST_WORD: usize = 1000;

/// Text to the ids that [`crate::MusicVocab::lyric`] takes.
#[derive(Debug, Clone)]
pub struct LyricTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
}

impl LyricTokenizer {
    /// A tokenizer made in this run.
    #[cfg(feature = "train")]
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer, path: PathBuf::from(TOKENIZER_FILE) }
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] names the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read(path).map_err(musicot_core::Error::io(path))?;
        let tokenizer = Tokenizer::from_bytes(text).map_err(|e| Error::tokenizer(path, e))?;
        Ok(Self { tokenizer, path: path.to_owned() })
    }

    /// Writes a `tokenizer.json`, atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = self.tokenizer.to_string(true).map_err(|e| Error::tokenizer(path, e))?;
        Ok(write_atomic(path, |file| std::io::Write::write_all(file, text.as_bytes()))?)
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The ids of the first words of a text, `limit` at most, and the rest of the text, which did not fit.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a word cannot be encoded.
    pub fn encode(&self, text: &str, limit: usize) -> Result<(Vec<u32>, String)> {
        let mut ids = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            let added =
                if word.len() > LONGEST_WORD { Vec::new() } else { self.encode_word(word, ids.is_empty())? };
            if added.is_empty() || ids.len() + added.len() > limit {
                break;
            }
            ids.extend(added);
            rest = after.trim_start();
        }
        Ok((ids, rest.to_owned()))
    }

    fn encode_word(&self, word: &str, is_first: bool) -> Result<Vec<u32>> {
        // Byte-level tokenizers mark the start of a word by the space before it.
        let spaced = if is_first { word.to_owned() } else { format!(" {word}") };
        let encoded = self.tokenizer.encode(spaced, false).map_err(|e| Error::tokenizer(&self.path, e))?;
        Ok(encoded.get_ids().to_vec())
    }
}
