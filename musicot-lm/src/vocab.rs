//! The typed vocabulary: which token ids mean what, and which of them a step may emit.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::tags::{TagVocab, Tags};
use crate::{Error, Result};

/// An id of the model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(i64);

impl TokenId {
    /// Start of a sequence.
    pub const BOS: Self = Self(0);
    /// Fills rows of a batch; never seen by another position.
    pub const PAD: Self = Self(1);
    /// Start of the plan.
    pub const COT_BOS: Self = Self(2);
    /// End of the plan.
    pub const COT_EOS: Self = Self(3);
    /// Start of the audio tokens.
    pub const AUDIO_BOS: Self = Self(4);

    /// The number.
    pub fn value(self) -> i64 {
        self.0
    }
}

/// Number of ids with a fixed meaning at the start of the vocabulary.
const SPECIALS: i64 = 5;

/// A semantic audio token, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioToken(pub u32);

/// The code of one level of a thought, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThoughtCode(pub u32);

/// What the model is about to emit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emission {
    /// A code of a level of a thought.
    Thought {
        /// The level, from 0.
        level: usize,
    },
    /// An audio token or, where the length may end, the end.
    Audio {
        /// Whether the end is among the choices.
        may_end: bool,
    },
}

/// What an id means.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Meaning {
    /// [`TokenId::BOS`].
    Bos,
    /// [`TokenId::PAD`].
    Pad,
    /// [`TokenId::COT_BOS`].
    CotBos,
    /// [`TokenId::COT_EOS`].
    CotEos,
    /// [`TokenId::AUDIO_BOS`].
    AudioBos,
    /// A tag, in words such as `tempo 120` or `style jazz`.
    Tag(String),
    /// A section's label.
    SectionLabel(String),
    /// A section's length in plan windows.
    SectionWindows(usize),
    /// A token of the lyrics' tokenizer.
    Lyric(u32),
    /// A code of a level of a thought.
    Thought {
        /// The level.
        level: usize,
        /// The code.
        code: ThoughtCode,
    },
    /// An audio token.
    Audio(AudioToken),
    /// The end of the audio tokens.
    Eos,
}

/// Sizes and names of the vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VocabConfig {
    /// The tags.
    pub tags: TagVocab,
    /// Labels of sections.
    pub section_labels: Vec<String>,
    /// Longest section that has a token, in plan windows; longer ones are given as this.
    pub section_windows: usize,
    /// Ids reserved for the lyrics' tokenizer.
    pub lyric_tokens: usize,
    /// Levels of a thought (Q). Not known from the paper: our choice.
    pub levels: usize,
    /// Codes of a level (K). Not known from the paper: our choice.
    pub codebook_size: usize,
    /// Semantic audio tokens.
    pub audio_tokens: usize,
}

impl Default for VocabConfig {
    fn default() -> Self {
        let labels = ["intro", "verse", "chorus", "bridge", "outro"];
        Self {
            tags: TagVocab::default(),
            section_labels: labels.map(str::to_owned).to_vec(),
            section_windows: 12,
            lyric_tokens: 512,
            levels: 8,
            codebook_size: 128,
            audio_tokens: 2048,
        }
    }
}

/// Every id of the model, in contiguous ranges: specials, tags, sections, lyrics, thoughts level by level, audio tokens, end.
///
/// ```
/// use musicot_lm::{Emission, Meaning, MusicVocab, ThoughtCode, VocabConfig};
/// let vocab = MusicVocab::new(VocabConfig::default())?;
/// let id = vocab.thought(2, ThoughtCode(7))?;
/// assert!(vocab.emits(Emission::Thought { level: 2 })?.contains(&id.value()));
/// assert!(!vocab.emits(Emission::Thought { level: 1 })?.contains(&id.value()));
/// assert!(matches!(vocab.meaning(id), Some(Meaning::Thought { level: 2, code: ThoughtCode(7) })));
/// # Ok::<(), musicot_lm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MusicVocab {
    config: VocabConfig,
    tags: i64,
    labels: i64,
    windows: i64,
    lyrics: i64,
    thoughts: i64,
    audio: i64,
}

impl MusicVocab {
    /// Lays the ranges out.
    ///
    /// # Errors
    /// [`musicot_core::Error::Config`] for sizes that are 0 or absurd, and for names that occur twice.
    pub fn new(config: VocabConfig) -> Result<Self> {
        for (field, size) in [
            ("vocab.levels", config.levels),
            ("vocab.codebook_size", config.codebook_size),
            ("vocab.audio_tokens", config.audio_tokens),
            ("vocab.section_windows", config.section_windows),
        ] {
            if !(1..=1 << 20).contains(&size) {
                return Err(Error::config(field, format!("expected 1 to 2^20, got {size}")));
            }
        }
        if config.lyric_tokens > 1 << 20 {
            return Err(Error::config(
                "vocab.lyric_tokens",
                format!("expected at most 2^20, got {}", config.lyric_tokens),
            ));
        }
        config.tags.validate()?;
        crate::tags::expect_names("vocab.section_labels", &config.section_labels)?;
        let tags = SPECIALS;
        let labels = tags + config.tags.len() as i64;
        let windows = labels + config.section_labels.len() as i64;
        let lyrics = windows + config.section_windows as i64;
        let thoughts = lyrics + config.lyric_tokens as i64;
        let audio = thoughts + (config.levels * config.codebook_size) as i64;
        Ok(Self { config, tags, labels, windows, lyrics, thoughts, audio })
    }

    /// Sizes and names.
    pub fn config(&self) -> &VocabConfig {
        &self.config
    }

    /// Number of ids.
    pub fn size(&self) -> i64 {
        self.eos().0 + 1
    }

    /// The end of the audio tokens.
    pub fn eos(&self) -> TokenId {
        TokenId(self.audio + self.config.audio_tokens as i64)
    }

    /// The only ids that may be emitted.
    ///
    /// # Errors
    /// The level is out of range.
    pub fn emits(&self, emission: Emission) -> Result<Range<i64>> {
        match emission {
            Emission::Thought { level } => {
                self.expect_below("level", level, self.config.levels)?;
                let start = self.thoughts + (level * self.config.codebook_size) as i64;
                Ok(start..start + self.config.codebook_size as i64)
            }
            Emission::Audio { may_end } => Ok(self.audio..self.eos().0 + i64::from(may_end)),
        }
    }

    /// The id of a code.
    ///
    /// # Errors
    /// The level or the code is out of range.
    pub fn thought(&self, level: usize, code: ThoughtCode) -> Result<TokenId> {
        self.expect_below("thought code", code.0 as usize, self.config.codebook_size)?;
        Ok(TokenId(self.emits(Emission::Thought { level })?.start + i64::from(code.0)))
    }

    /// The id of an audio token.
    ///
    /// # Errors
    /// The token is out of range.
    pub fn audio(&self, token: AudioToken) -> Result<TokenId> {
        self.expect_below("audio token", token.0 as usize, self.config.audio_tokens)?;
        Ok(TokenId(self.audio + i64::from(token.0)))
    }

    /// The id of a token of the lyrics' tokenizer.
    ///
    /// # Errors
    /// The token is out of range.
    pub fn lyric(&self, token: u32) -> Result<TokenId> {
        self.expect_below("lyric token", token as usize, self.config.lyric_tokens)?;
        Ok(TokenId(self.lyrics + i64::from(token)))
    }

    /// The ids of tags, in the order tempo, key, style, mood, instruments; and the values the vocabulary has no id for.
    ///
    /// # Errors
    /// The tempo is not a positive number.
    pub fn tags(&self, tags: &Tags) -> Result<(Vec<TokenId>, Vec<String>)> {
        let (indices, unknown) = self.config.tags.indices(tags)?;
        Ok((indices.into_iter().map(|index| TokenId(self.tags + index as i64)).collect(), unknown))
    }

    /// The ids of a section's label and length; `None` for an unknown label. A length of 0 counts as 1.
    pub fn section(&self, label: &str, windows: usize) -> Option<[TokenId; 2]> {
        let label =
            self.config.section_labels.iter().position(|name| name.eq_ignore_ascii_case(label.trim()))?;
        let windows = windows.clamp(1, self.config.section_windows);
        Some([TokenId(self.labels + label as i64), TokenId(self.windows + windows as i64 - 1)])
    }

    /// What an id means; `None` beyond the vocabulary.
    pub fn meaning(&self, id: TokenId) -> Option<Meaning> {
        let offset = |start: i64| (id.0 - start) as usize;
        Some(match id.0 {
            ..0 => return None,
            0 => Meaning::Bos,
            1 => Meaning::Pad,
            2 => Meaning::CotBos,
            3 => Meaning::CotEos,
            4 => Meaning::AudioBos,
            value if value < self.labels => Meaning::Tag(self.config.tags.name(offset(self.tags))?),
            value if value < self.windows => {
                Meaning::SectionLabel(self.config.section_labels.get(offset(self.labels))?.clone())
            }
            value if value < self.lyrics => Meaning::SectionWindows(offset(self.windows) + 1),
            value if value < self.thoughts => Meaning::Lyric(offset(self.lyrics) as u32),
            value if value < self.audio => {
                let (level, code) = (
                    offset(self.thoughts) / self.config.codebook_size,
                    offset(self.thoughts) % self.config.codebook_size,
                );
                Meaning::Thought { level, code: ThoughtCode(code as u32) }
            }
            value if value < self.eos().0 => Meaning::Audio(AudioToken(offset(self.audio) as u32)),
            value if value == self.eos().0 => Meaning::Eos,
            _ => return None,
        })
    }

    fn expect_below(&self, what: &str, value: usize, end: usize) -> Result<()> {
        if value < end { Ok(()) } else { Err(Error::input(what, format!("expected 0..{end}, got {value}"))) }
    }
}
