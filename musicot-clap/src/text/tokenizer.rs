//! Texts to token ids, by a `tokenizer.json`.

use std::path::Path;

use musicot_core::files::write_atomic;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, Result};
use serde_json::json;
use tokenizers::{Tokenizer, TruncationDirection};

/// Bytes of a text that are read at all; bounds time and memory for texts of any size. Far more than any model has positions for.
const READ_BYTES: usize = 1 << 16;

/// A batch of tokenised texts.
#[derive(Debug)]
pub struct Tokens {
    /// Token ids `[texts, seq]` (i64), padded at the end.
    pub ids: Tensor,
    /// True at real tokens `[texts, seq]` (bool).
    pub mask: Tensor,
    /// What each text lost.
    pub cuts: Vec<Cut>,
}

/// What a text lost because it was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// Tokens beyond the limit, special ones not counted.
    pub tokens: usize,
    /// Bytes beyond the first 64 KiB, which were not even tokenised.
    pub bytes: usize,
}

impl Cut {
    /// Whether the whole text was used.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A tokenizer with a limit on tokens.
pub struct TextTokenizer {
    inner: Tokenizer,
    /// The file as it was read.
    json: String,
    pad_id: i64,
    /// Tokens around every text.
    special: usize,
    /// Tokens of a text that are read, special ones not counted.
    room: usize,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json` (any kind); its own truncation and padding are replaced by ours.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] names the file.
    pub fn load(path: impl AsRef<Path>, max_tokens: i64, pad_id: i64) -> Result<Self> {
        let path = path.as_ref();
        let json = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::from_json(json, max_tokens, pad_id).map_err(|e| Error::format(path, e.to_string()))
    }

    /// Takes the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not a tokenizer, or leaves no room for words.
    pub fn from_json(json: String, max_tokens: i64, pad_id: i64) -> Result<Self> {
        let failed = |e: tokenizers::Error| Error::input("tokenizer", e.to_string());
        let mut inner = Tokenizer::from_bytes(json.as_bytes()).map_err(failed)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed)?;
        let special = inner.encode("", true).map_err(failed)?.len();
        let max_length = max_tokens.max(0) as usize;
        if max_length <= special {
            let reason =
                format!("expected max_tokens above {special}, which are special tokens, got {max_tokens}");
            return Err(Error::input("tokenizer", reason));
        }
        Ok(Self { inner, json, pad_id, special, room: max_length - special })
    }

    /// A tokenizer that knows single printable ASCII characters only (lower case), for models that start from nothing.
    /// Ids: 0 `[PAD]`, 1 `[UNK]`, 2 `[CLS]`, 3 `[SEP]`, then the characters at the start of a word, then those within one.
    ///
    /// # Errors
    /// See [`TextTokenizer::from_json`].
    pub fn characters(max_tokens: i64) -> Result<Self> {
        Self::from_json(character_tokenizer().to_string(), max_tokens, 0)
    }

    /// Writes the `tokenizer.json` as it was read, atomically.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, |file| std::io::Write::write_all(file, self.json.as_bytes()))
    }

    /// One above the largest id.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// The id of a token, by its text.
    pub fn id(&self, token: &str) -> Option<i64> {
        self.inner.token_to_id(token).map(i64::from)
    }

    /// The same with another id that fills up shorter texts.
    pub(crate) fn with_padding(self, pad_id: i64) -> Self {
        Self { pad_id, ..self }
    }

    /// Tokenises texts, padded to the longest of them; what is too long is cut and reported.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no text.
    pub fn encode(&self, texts: &[&str], device: Device) -> Result<Tokens> {
        let (rows, cuts) = self.rows(texts, self.room)?;
        // A tokenizer without special tokens makes nothing of an empty text; one masked-in padding token stands for it.
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        self.batch(&rows, cuts, longest, device)
    }

    /// Tokenises texts, each cut or padded to `length` tokens, special ones included.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no text, or `length` leaves no room for the special tokens.
    pub fn encode_to(&self, texts: &[&str], length: usize, device: Device) -> Result<Tokens> {
        let room = length.checked_sub(self.special).filter(|_| length > 0 && length <= READ_BYTES);
        let Some(room) = room else {
            let reason = format!("expected {}..={READ_BYTES} tokens, got {length}", self.special.max(1));
            return Err(Error::input("length", reason));
        };
        let (rows, cuts) = self.rows(texts, room)?;
        self.batch(&rows, cuts, length, device)
    }

    fn rows(&self, texts: &[&str], room: usize) -> Result<(Vec<Vec<i64>>, Vec<Cut>)> {
        if texts.is_empty() {
            return Err(Error::input("texts", "expected at least one text, got none"));
        }
        let all: Vec<_> = texts.iter().map(|text| self.encode_within(text, room)).collect::<Result<_>>()?;
        Ok(all.into_iter().unzip())
    }

    fn batch(&self, rows: &[Vec<i64>], cuts: Vec<Cut>, length: usize, device: Device) -> Result<Tokens> {
        let shape = [rows.len() as i64, length as i64];
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut mask = Vec::with_capacity(rows.len() * length);
        for row in rows {
            ids.extend_from_slice(row);
            ids.extend(std::iter::repeat_n(self.pad_id, length - row.len()));
            mask.extend((0..length).map(|at| at < row.len().max(1)));
        }
        Ok(Tokens {
            ids: Tensor::f_from_slice(&ids)?.f_reshape(shape)?.f_to_device(device)?,
            mask: Tensor::f_from_slice(&mask)?
                .f_reshape(shape)?
                .f_to_kind(Kind::Bool)?
                .f_to_device(device)?,
            cuts,
        })
    }

    /// Ids of one text, special ones included, and what was cut.
    pub(crate) fn encode_one(&self, text: &str) -> Result<(Vec<i64>, Cut)> {
        self.encode_within(text, self.room)
    }

    fn encode_within(&self, text: &str, room: usize) -> Result<(Vec<i64>, Cut)> {
        let failed = |e: tokenizers::Error| Error::input("text", e.to_string());
        let read = prefix(text, READ_BYTES);
        // Cut here and not by the tokenizer, which stops early and then cannot say how much it left.
        let mut encoded = self.inner.encode(read, false).map_err(failed)?;
        let tokens = encoded.len().saturating_sub(room);
        encoded.truncate(room, 0, TruncationDirection::Right);
        encoded.set_overflowing(Vec::new());
        let encoded = self.inner.post_process(encoded, None, true).map_err(failed)?;
        let ids = encoded.get_ids().iter().map(|id| i64::from(*id)).collect();
        Ok((ids, Cut { tokens, bytes: text.len() - read.len() }))
    }
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTokenizer").field("vocab_size", &self.vocab_size()).finish_non_exhaustive()
    }
}

/// At most `bytes` bytes of a text, whole characters.
fn prefix(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn character_tokenizer() -> serde_json::Value {
    let characters: Vec<String> =
        (33_u8..127).filter(|c| !c.is_ascii_uppercase()).map(|c| char::from(c).to_string()).collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(String::from);
    let within = characters.iter().map(|c| format!("##{c}"));
    let vocabulary: serde_json::Map<String, serde_json::Value> = special
        .iter()
        .cloned()
        .chain(characters.iter().cloned())
        .chain(within)
        .enumerate()
        .map(|(id, piece)| (piece, json!(id)))
        .collect();
    let added: Vec<serde_json::Value> = special
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false})
        })
        .collect();
    let mark = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    let whole = [
        json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}}),
        json!({"Sequence": {"id": "A", "type_id": 0}}),
        json!({"SpecialToken": {"id": "[SEP]", "type_id": 0}}),
    ];
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": whole, "pair": whole,
            "special_tokens": {"[CLS]": mark("[CLS]", 2), "[SEP]": mark("[SEP]", 3)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

#[cfg(test)]
mod tests {
    use musicot_core::tensor;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pads_at_the_end_and_masks() {
        let tokenizer = TextTokenizer::characters(16).unwrap();
        let tokens = tokenizer.encode(&["ab", ""], Device::Cpu).unwrap();
        assert_eq!(tokens.ids.size(), [2, 4]);
        let ids = tensor::to_ids(&tokens.ids).unwrap();
        assert_eq!((ids[0], ids[3], &ids[4..]), (2, 3, [2, 3, 0, 0].as_slice()));
        assert_eq!(tensor::to_ids(&tokens.mask).unwrap(), [1, 1, 1, 1, 1, 1, 0, 0]);
        assert!(tokenizer.vocab_size() > 130);
        assert!(tokenizer.encode(&[], Device::Cpu).is_err());
    }

    #[test]
    fn cuts_or_pads_to_a_length() {
        let tokenizer = TextTokenizer::characters(16).unwrap();
        let tokens = tokenizer.encode_to(&["abcdef", "", "a"], 4, Device::Cpu).unwrap();
        let ids = tensor::to_ids(&tokens.ids).unwrap();
        assert_eq!(tokens.ids.size(), [3, 4]);
        assert_eq!((ids[3], &ids[4..8], ids[11]), (3, [2, 3, 0, 0].as_slice(), 0));
        assert_eq!((tokens.cuts[0].tokens, tokens.cuts[1].tokens), (4, 0));
        assert_eq!(tokenizer.encode_to(&["abc"], 2, Device::Cpu).unwrap().ids.size(), [1, 2]);
        assert!(tokenizer.encode_to(&["abc"], 1, Device::Cpu).is_err());
        assert!(tokenizer.encode_to(&[], 4, Device::Cpu).is_err());
    }

    #[test]
    fn reports_what_it_cuts() {
        let tokenizer = TextTokenizer::characters(10).unwrap();
        let (ids, cut) = tokenizer.encode_one("abcdefghijkl").unwrap();
        assert_eq!(ids.len(), 10);
        assert_eq!((ids[0], ids[9]), (2, 3));
        assert_eq!(cut, Cut { tokens: 4, bytes: 0 });
        assert!(tokenizer.encode_one("abcd").unwrap().1.is_nothing());
        let huge = "piano ".repeat(1_000_000);
        let (ids, cut) = tokenizer.encode_one(&huge).unwrap();
        assert_eq!(ids.len(), 10);
        assert_eq!(cut.bytes, huge.len() - READ_BYTES);
        // 64 KiB hold 10922 pianos and four letters; eight letters are read.
        assert_eq!(cut.tokens, 10_922 * 5 + 4 - 8);
        let emoji = tokenizer.encode_one("🎸🥁🎹").unwrap();
        assert!(emoji.0.len() >= 2);
    }

    #[test]
    fn refuses_what_is_no_tokenizer() {
        assert!(TextTokenizer::from_json("{}".into(), 10, 0).is_err());
        assert!(TextTokenizer::characters(2).is_err());
        assert!(TextTokenizer::load("/nonexistent/tokenizer.json", 10, 0).is_err());
    }

    #[test]
    fn saves_what_it_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        TextTokenizer::characters(12).unwrap().save(&path).unwrap();
        let again = TextTokenizer::load(&path, 12, 0).unwrap();
        let first = TextTokenizer::characters(12).unwrap();
        assert_eq!(again.encode_one("calm, slow").unwrap(), first.encode_one("calm, slow").unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_accepted(text in "\\PC{0,300}") {
            let tokenizer = TextTokenizer::characters(20).unwrap();
            let tokens = tokenizer.encode(&[&text], Device::Cpu).unwrap();
            prop_assert!((2..=20).contains(&tokens.ids.size()[1]));
        }
    }
}
