//! The chains of stages that are compared, and what was measured of their clips.

use musicot_eval::frechet::Gaussian;

use super::TOLD;
use super::judge::{Judge, Space, Verdict};
use crate::common::Outcome;
use crate::corpus::gathered;
use crate::notes::ORIGINAL;
use crate::renderer::Given;
use crate::wide::{Cell, Wide};

/// Where a chain leaves the truth.
#[derive(Debug, Clone, Copy)]
pub enum Link {
    Original,
    Codec,
    Diffusion(Given),
    TruePlan,
    OwnPlan,
}

/// All chains; the first is the ceiling.
pub const CHAINS: [Link; 8] = [
    Link::Original,
    Link::Codec,
    Link::Diffusion(TOLD[0]),
    Link::Diffusion(TOLD[1]),
    Link::Diffusion(TOLD[2]),
    Link::Diffusion(TOLD[3]),
    Link::TruePlan,
    Link::OwnPlan,
];

impl Link {
    fn name(self) -> &'static str {
        match self {
            Self::Original => "original audio",
            Self::Codec => "true latents > codec",
            Self::Diffusion(Given { thoughts: true, text: true }) => {
                "true tokens, thoughts, text > diffusion > codec"
            }
            Self::Diffusion(Given { thoughts: false, text: true }) => "the same without thoughts",
            Self::Diffusion(Given { thoughts: true, text: false }) => "the same without text",
            Self::Diffusion(_) => "the same without both",
            Self::TruePlan => "true plan > LM tokens > diffusion > codec",
            Self::OwnPlan => "LM plan > LM tokens > diffusion > codec",
        }
    }

    /// What the transcriber's files are called.
    pub fn file(self) -> &'static str {
        match self {
            Self::Original => ORIGINAL,
            Self::Codec => "codec",
            Self::Diffusion(Given { thoughts: true, text: true }) => "diffusion",
            Self::Diffusion(Given { thoughts: false, text: true }) => "no-thoughts",
            Self::Diffusion(Given { thoughts: true, text: false }) => "no-text",
            Self::Diffusion(_) => "neither",
            Self::TruePlan => "true-plan",
            Self::OwnPlan => "own-plan",
        }
    }

    /// Whether its clips are to have the notes of the originals.
    pub fn is_paired(self) -> bool {
        !matches!(self, Self::TruePlan | Self::OwnPlan)
    }
}

/// A chain's clips, piece after piece.
pub struct Chain {
    pub link: Link,
    pub clips: Vec<Verdict>,
    /// F1 of notes; empty where they are not measured.
    pub notes: Vec<f64>,
}

/// What is measured of a clip with its own value: more is better.
pub const MEASURES: [&str; 6] = ["chroma", "onset F1", "note F1", "CLAP score", "tempo", "key"];

/// What is measured of all clips together: less is better.
pub const SPACES: [(&str, Space); 2] = [("Frechet, CLAP", Space::Clap), ("Frechet, timbre", Space::Timbre)];

impl Chain {
    pub fn new(link: Link) -> Self {
        Self { link, clips: Vec::new(), notes: Vec::new() }
    }

    pub fn push(&mut self, clip: Verdict) {
        self.clips.push(clip);
    }

    /// Values of one of [`MEASURES`]; none where it has no meaning.
    pub fn values(&self, measure: usize) -> Vec<f64> {
        let of = |value: fn(&Verdict) -> Option<f64>| self.clips.iter().filter_map(value).collect();
        match measure {
            0 => of(|clip| clip.chroma),
            1 => of(|clip| clip.onsets),
            2 => self.notes.clone(),
            3 => of(|clip| Some(clip.clap_score)),
            4 => of(|clip| clip.tempo),
            _ => of(|clip| clip.key),
        }
    }

    /// Squared Frechet distance of some clips from the other held-out pieces; `None` without any.
    pub fn distance(
        &self,
        space: Space,
        judge: &Judge,
        clips: &[usize],
    ) -> musicot_eval::Result<Option<f64>> {
        let Some(reference) = judge.reference(space) else { return Ok(None) };
        let items = gathered(clips.iter().map(|clip| self.clips[*clip].rows(space)));
        Ok(Some(Gaussian::fit(items.view())?.squared_distance(reference)?))
    }
}

/// A row per chain.
pub fn table(chains: &[Chain], judge: &Judge) -> Outcome<Wide> {
    let columns: Vec<&'static str> = MEASURES.into_iter().chain(SPACES.map(|(name, _)| name)).collect();
    let mut table = Wide::new("what is true > what is made", &columns);
    for chain in chains {
        let mut cells = Vec::new();
        for measure in 0..MEASURES.len() {
            cells.push(Cell::mean_of(&chain.values(measure))?);
        }
        let all: Vec<usize> = (0..chain.clips.len()).collect();
        for (_, space) in SPACES {
            cells.push(chain.distance(space, judge, &all)?.and_then(Cell::of));
        }
        table.row(chain.link.name(), cells);
    }
    Ok(table)
}
