//! What a song is to be like, and the prefix of the sequence that says so.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use crate::lyrics::LyricTokenizer;
use crate::tags::Tags;
use crate::vocab::{MusicVocab, TokenId};
use crate::{Error, MusicLmConfig, Result};

/// The conditions of a song; each may be left out, as it was for a part of the training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// CLAP embedding `[dim]` of unit length, of a text or of a recording (one space for both).
    pub clap: Option<Array1<f32>>,
    /// Tempo, key, style, mood, instruments.
    pub tags: Tags,
    /// The form.
    pub sections: Vec<SectionSpan>,
    /// Words to be sung; a colour of the text condition only, since nothing times them.
    pub lyrics: String,
}

/// A section of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionSpan {
    /// Kind, such as `verse`.
    pub label: String,
    /// Length in plan windows, at least 1.
    pub windows: usize,
}

/// What of the conditions the model was not given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionReport {
    /// Tags and sections that the vocabulary has no word for.
    pub unknown: Vec<String>,
    /// Sections beyond the limit.
    pub cut_sections: usize,
    /// Words of the lyrics beyond the limit.
    pub cut_lyrics: String,
}

impl ConditionReport {
    /// Whether everything was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Conditions as the model takes them: an embedding and token ids.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct EncodedConditions {
    pub(crate) clap: Option<Vec<f32>>,
    pub(crate) ids: Vec<i64>,
    /// How many of the ids, from the first, are tags.
    pub(crate) tags: usize,
    /// The tempo, within the range of its tags.
    pub(crate) tempo_bpm: Option<f64>,
}

/// Encodes conditions; absent ones take no place in the sequence (the CLAP positions excepted, which are always there).
pub(crate) fn encode(
    conditions: &Conditions,
    config: &MusicLmConfig,
    vocab: &MusicVocab,
    tokenizer: Option<&LyricTokenizer>,
) -> Result<(EncodedConditions, ConditionReport)> {
    let clap = conditions.clap.as_ref().map(|clap| clap_values(clap, config)).transpose()?;
    let (tags, unknown) = vocab.tags(&conditions.tags)?;
    let mut report = ConditionReport { unknown, ..Default::default() };
    let mut ids: Vec<i64> = tags.into_iter().map(TokenId::value).collect();
    let tags = ids.len();
    for section in conditions.sections.iter().take(config.max_sections) {
        match vocab.section(&section.label, section.windows) {
            Some(pair) => ids.extend(pair.map(TokenId::value)),
            None => report.unknown.push(format!("section `{}`", section.label.trim())),
        }
    }
    report.cut_sections = conditions.sections.len().saturating_sub(config.max_sections);
    if !conditions.lyrics.trim().is_empty() {
        let (tokens, cut) = match tokenizer {
            Some(tokenizer) => tokenizer.encode(&conditions.lyrics, config.max_lyric_tokens)?,
            // A model without a tokenizer was not trained on lyrics.
            None => (Vec::new(), conditions.lyrics.clone()),
        };
        for token in tokens {
            ids.push(vocab.lyric(token)?.value());
        }
        report.cut_lyrics = cut;
    }
    let tempo_bpm = conditions.tags.tempo_bpm.map(|bpm| vocab.config().tags.tempo.within(bpm));
    Ok((EncodedConditions { clap, ids, tags, tempo_bpm }, report))
}

fn clap_values(clap: &Array1<f32>, config: &MusicLmConfig) -> Result<Vec<f32>> {
    if clap.len() as i64 != config.clap_dim {
        let reason = format!("expected {} values, got {}", config.clap_dim, clap.len());
        return Err(Error::input("CLAP embedding", reason));
    }
    let norm = clap.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    // Embeddings stored with 16 bits are off by a few thousandths.
    if !(0.98..=1.02).contains(&norm) {
        return Err(Error::input("CLAP embedding", format!("expected unit length, got {norm}")));
    }
    Ok(clap.to_vec())
}
