//! The branches of guidance: each song is a row of a batch once per branch, and each branch is told less or more of what the song is to be.

use musicot_core::GuidanceScale;
use musicot_core::tch::Tensor;
use musicot_sampling::{Guidance, PhaseConfig, TagGuidance, nested_guidance};

use crate::conditions::{Conditions, EncodedConditions};
use crate::tags::Tags;
use crate::vocab::TokenId;
use crate::{MusicLm, Result};

/// What a branch is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Branch {
    /// All that is known of the song.
    Whole,
    /// No condition.
    Nothing,
    /// All but the tags that have a scale of their own.
    Rest(TagGuidance),
}

/// The branches of a batch: rows `0..songs` are of the first, the next as many of the second, and so on.
pub(super) struct Branches {
    kinds: Vec<Branch>,
    scale: GuidanceScale,
    tags: Option<TagGuidance>,
}

impl Branches {
    /// Songs that have none of the tags with a scale of their own need no branch for them; beside others that do, it changes nothing for them.
    pub(super) fn new(policy: &PhaseConfig, songs: &[&Conditions]) -> Self {
        let scale = policy.guidance;
        let differs = |of: &TagGuidance| songs.iter().any(|song| without(of, &song.tags) != song.tags);
        let tags = policy.tag_guidance.filter(|of| of.scale != scale && differs(of));
        let mut kinds = vec![Branch::Whole];
        kinds.extend((!scale.is_neutral()).then_some(Branch::Nothing));
        kinds.extend(tags.map(Branch::Rest));
        Self { kinds, scale, tags }
    }

    /// Rows of a song.
    pub(super) fn count(&self) -> usize {
        self.kinds.len()
    }

    /// The branch of a row, and the number of its song.
    pub(super) fn of(&self, row: usize, songs: usize) -> (Branch, usize) {
        (self.kinds[row / songs], row % songs)
    }

    /// The conditions of all rows.
    pub(super) fn encode(&self, model: &MusicLm, songs: &[&Conditions]) -> Result<Vec<EncodedConditions>> {
        let mut rows = Vec::with_capacity(self.kinds.len() * songs.len());
        for kind in &self.kinds {
            for song in songs {
                rows.push(match kind {
                    Branch::Whole => model.encode(song)?,
                    Branch::Nothing => EncodedConditions::default(),
                    Branch::Rest(of) => {
                        let tags = without(of, &song.tags);
                        model.encode(&Conditions { tags, ..(*song).clone() })?
                    }
                });
            }
        }
        Ok(rows)
    }

    /// One id per song, repeated for every branch.
    pub(super) fn repeated(&self, ids: &[TokenId]) -> Vec<i64> {
        self.kinds.iter().flat_map(|_| ids.iter().map(|id| id.value())).collect()
    }

    /// Logits of all rows `[rows, choices]` to those of the songs `[songs, choices]`.
    pub(super) fn combine(&self, logits: Tensor) -> Result<Tensor> {
        let songs = logits.size()[0] / self.kinds.len() as i64;
        let branch = |index: i64| logits.f_narrow(0, index * songs, songs);
        Ok(match (self.tags, self.scale.is_neutral()) {
            (None, true) => logits,
            (None, false) => Guidance::new(self.scale).combine_halves(&logits)?,
            // The rest of the condition counts as it is.
            (Some(tags), true) => Guidance::new(tags.scale).combine_halves(&logits)?,
            (Some(tags), false) => {
                nested_guidance(&[branch(1)?, branch(2)?, branch(0)?], &[self.scale, tags.scale])?
            }
        })
    }
}

/// The tags that have no scale of their own.
fn without(of: &TagGuidance, tags: &Tags) -> Tags {
    Tags {
        tempo_bpm: tags.tempo_bpm.filter(|_| !of.tempo),
        key: tags.key.filter(|_| !of.key),
        style: tags.style.clone().filter(|_| !of.style),
        mood: tags.mood.clone().filter(|_| !of.mood),
        instruments: if of.instruments { Vec::new() } else { tags.instruments.clone() },
    }
}
