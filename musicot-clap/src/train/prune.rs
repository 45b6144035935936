//! Keeping only part of a tokenizer's vocabulary.

use std::collections::{BTreeMap, BTreeSet};

use musicot_core::{Error, Result};
use serde_json::{Value, json};

use crate::text::TextTokenizer;

/// A smaller tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The new `tokenizer.json`.
    pub json: String,
    /// The old id of each new id, ascending.
    pub kept: Vec<i64>,
}

/// Prunes the vocabulary of a WordPiece `tokenizer.json` to about `size` pieces: special tokens, single ASCII characters, the pieces that `texts`
/// use, and then ASCII pieces in the order of the file, which is by frequency in the published ones. Where the first three need more than
/// `size`, all of them are kept; `size` 0 keeps everything.
///
/// Any English word can still be spelt. Of other alphabets only what `texts` use is kept: their characters alone, two thousand in BERT's
/// file, would crowd out as many words.
///
/// A text whose pieces are all kept is tokenised as before: the longest match first finds no longer piece than it did.
///
/// # Errors
/// [`Error::Input`] when the tokenizer is of another kind.
pub fn prune_vocabulary(tokenizer_json: &str, texts: &[&str], size: usize) -> Result<Pruned> {
    let bad = |reason: &str| Error::input("tokenizer", reason);
    let mut file: Value = serde_json::from_str(tokenizer_json).map_err(|e| bad(&e.to_string()))?;
    let pieces = pieces(&file)?;
    if size == 0 || size >= pieces.len() {
        return Ok(Pruned { json: tokenizer_json.to_owned(), kept: pieces.keys().copied().collect() });
    }
    let mut kept = special_ids(&file);
    kept.extend(pieces.iter().filter(|(_, piece)| is_ascii_character(piece)).map(|(id, _)| *id));
    let tokenizer = TextTokenizer::from_json(tokenizer_json.to_owned(), i64::from(u32::MAX), 0)?;
    for text in texts {
        kept.extend(tokenizer.encode_one(text)?.0);
    }
    for (id, piece) in &pieces {
        if kept.len() >= size {
            break;
        }
        if piece.is_ascii() && !piece.starts_with("[unused") {
            kept.insert(*id);
        }
    }
    let new_ids: BTreeMap<i64, i64> = kept.iter().zip(0..).map(|(old, new)| (*old, new)).collect();
    rewrite(&mut file, &pieces, &new_ids);
    Ok(Pruned { json: file.to_string(), kept: kept.into_iter().collect() })
}

/// The vocabulary by id, which must be `0..count`.
fn pieces(file: &Value) -> Result<BTreeMap<i64, String>> {
    let bad = |reason: &str| Error::input("tokenizer", reason);
    if file["model"]["type"] != "WordPiece" {
        return Err(bad("only a WordPiece vocabulary can be pruned; keep it whole with vocab_size 0"));
    }
    let vocabulary =
        file["model"]["vocab"].as_object().ok_or_else(|| bad("`model.vocab` is not an object"))?;
    let pieces: BTreeMap<i64, String> =
        vocabulary.iter().filter_map(|(piece, id)| Some((id.as_i64()?, piece.clone()))).collect();
    let is_dense = pieces.keys().copied().eq(0..vocabulary.len() as i64);
    if is_dense { Ok(pieces) } else { Err(bad("`model.vocab` does not number its pieces 0, 1, 2, ...")) }
}

fn special_ids(file: &Value) -> BTreeSet<i64> {
    let added = file["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    added.iter().filter_map(|token| token["id"].as_i64()).collect()
}

/// Whether a piece is one ASCII character, at the start of a word or within it (`##a`).
fn is_ascii_character(piece: &str) -> bool {
    let character = piece.strip_prefix("##").filter(|rest| !rest.is_empty()).unwrap_or(piece);
    character.len() == 1 && character.is_ascii()
}

fn rewrite(file: &mut Value, pieces: &BTreeMap<i64, String>, new_ids: &BTreeMap<i64, i64>) {
    let renumbered = |id: &Value| id.as_i64().and_then(|old| new_ids.get(&old)).map(|new| json!(new));
    let vocabulary: serde_json::Map<String, Value> =
        new_ids.iter().filter_map(|(old, new)| Some((pieces.get(old)?.clone(), json!(new)))).collect();
    file["model"]["vocab"] = Value::Object(vocabulary);
    file["padding"] = Value::Null;
    file["truncation"] = Value::Null;
    for token in file["added_tokens"].as_array_mut().into_iter().flatten() {
        if let Some(id) = renumbered(&token["id"]) {
            token["id"] = id;
        }
    }
    // The ids a template inserts; other post-processors name tokens as ["[SEP]", 102].
    for token in
        file["post_processor"]["special_tokens"].as_object_mut().into_iter().flat_map(|map| map.values_mut())
    {
        for id in token["ids"].as_array_mut().into_iter().flatten() {
            *id = renumbered(id).unwrap_or_else(|| id.clone());
        }
    }
    for name in ["sep", "cls"] {
        if let Some(id) = file["post_processor"].get_mut(name).and_then(|pair| pair.get_mut(1)) {
            *id = renumbered(id).unwrap_or_else(|| id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The spelling tokenizer with a few whole words after its characters.
    fn tokenizer() -> (Value, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        TextTokenizer::characters(64).unwrap().save(&path).unwrap();
        let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for word in ["д", "piano", "drum", "##s", "calm", "##ly", "violin", "[unused7]", "flute"] {
            let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
            let next = vocabulary.len();
            vocabulary.entry(word).or_insert(json!(next));
        }
        let text = file.to_string();
        (file, text)
    }

    #[test]
    fn keeps_what_it_must_and_then_the_frequent() {
        let (file, text) = tokenizer();
        let all = file["model"]["vocab"].as_object().unwrap().len();
        let pruned = prune_vocabulary(&text, &["calmly violin"], all - 4).unwrap();
        let new: Value = serde_json::from_str(&pruned.json).unwrap();
        let vocabulary = new["model"]["vocab"].as_object().unwrap();
        assert_eq!(vocabulary.len(), all - 4);
        assert_eq!(pruned.kept.len(), all - 4);
        for word in ["piano", "calm", "##ly", "violin"] {
            assert!(vocabulary.contains_key(word), "{word}");
        }
        // The least frequent go first, before them unused ones and other alphabets.
        for word in ["flute", "[unused7]", "д"] {
            assert!(!vocabulary.contains_key(word), "{word}");
        }
        let old = TextTokenizer::from_json(text, 64, 0).unwrap();
        let small = TextTokenizer::from_json(pruned.json, 64, 0).unwrap();
        let (new_ids, _) = small.encode_one("calmly Violin, piano!").unwrap();
        let mapped: Vec<i64> = new_ids.iter().map(|id| pruned.kept[*id as usize]).collect();
        assert_eq!(mapped, old.encode_one("calmly Violin, piano!").unwrap().0);
    }

    #[test]
    fn size_zero_keeps_all_and_other_kinds_are_refused() {
        let (_, text) = tokenizer();
        assert_eq!(prune_vocabulary(&text, &[], 0).unwrap().json, text);
        assert!(
            prune_vocabulary(&text.replace("\"WordPiece\",\"unk", "\"BPE\",\"unk"), &[], 20).is_err()
                || !text.contains("\"WordPiece\",\"unk")
        );
        assert!(prune_vocabulary("{}", &[], 20).is_err());
    }

    proptest! {
        #[test]
        fn texts_of_kept_pieces_tokenise_as_before(words in prop::collection::vec("[a-z]{1,6}", 1..6)) {
            let (_, text) = tokenizer();
            let phrase = words.join(" ");
            let pruned = prune_vocabulary(&text, &[&phrase], 1).unwrap();
            let old = TextTokenizer::from_json(text, 64, 0).unwrap();
            let small = TextTokenizer::from_json(pruned.json, 64, 0).unwrap();
            let mapped: Vec<i64> = small.encode_one(&phrase).unwrap().0.iter().map(|id| pruned.kept[*id as usize]).collect();
            prop_assert_eq!(mapped, old.encode_one(&phrase).unwrap().0);
        }
    }
}
