//! Fréchet distances of sets of clips to held-out music, in two spaces.

use musicot::codec::AudioCodec;
use musicot::core::train::Record;
use musicot_eval::frechet::Gaussian;
use musicot_eval::statistics::{Interval, bootstrap};
use ndarray::{Array1, Array2, Axis};

use crate::asks::Ask;
use crate::common::{Outcome, note, recordings};
use crate::corpus::{gathered, spread};
use crate::heard::{Heard, beginning};
use crate::studio::Studio;
use crate::{Context, rng};

/// Resamples of an interval: each needs two roots of matrices.
const RESAMPLES: usize = 200;

/// Where clips are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Embeddings of the bundle's own CLAP.
    Clap,
    /// Features that no network made, each in standard deviations of the held-out music.
    Timbre,
}

impl Space {
    pub const ALL: [Self; 2] = [Self::Clap, Self::Timbre];

    pub fn name(self) -> &'static str {
        match self {
            Self::Clap => "Fréchet distance, CLAP",
            Self::Timbre => "Fréchet distance, timbre",
        }
    }
}

/// Held-out music that generated clips are compared with.
pub struct Reference {
    clap: Gaussian,
    timbre: Gaussian,
    mean: Array1<f32>,
    deviation: Array1<f32>,
    pub clips: usize,
}

impl Reference {
    /// The beginnings of held-out pieces that nothing was asked of; of all pieces where there are too few others.
    pub fn of(context: &Context, studio: &Studio, asks: &[Ask], secs: f64) -> Outcome<Self> {
        let is_asked = |record: &Record| asks.iter().any(|ask| ask.record.id == record.id);
        let all = context.heldout.records();
        let others: Vec<&Record> = all.iter().filter(|record| !is_asked(record)).collect();
        let records = if others.len() >= 2 { others } else { all.iter().collect() };
        let records = spread(&records, Some(context.options.pieces_read(200)));
        note(format_args!("{} held-out pieces to compare with", records.len()));
        let mut heard = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let clip = beginning(&context.heldout, record, studio.codec.sample_rate_hz(), secs)?;
            heard.push(Heard::of(&studio.clap, &clip)?);
            recordings(index + 1, records.len());
        }
        Self::fit(&heard.iter().collect::<Vec<_>>())
    }

    fn fit(heard: &[&Heard]) -> Outcome<Self> {
        let timbre = timbre_rows(heard)?;
        let mean = timbre.mean_axis(Axis(0)).ok_or("silence has no timbre")?;
        let deviation = timbre.std_axis(Axis(0), 0.0).mapv(|deviation| deviation.max(1e-6));
        Ok(Self {
            clap: Gaussian::fit(clap_rows(heard).view())?,
            timbre: Gaussian::fit(((timbre - &mean) / &deviation).view())?,
            mean,
            deviation,
            clips: heard.len(),
        })
    }

    pub fn distance(&self, space: Space, heard: &[&Heard]) -> Outcome<f64> {
        Ok(match space {
            Space::Clap => Gaussian::fit(clap_rows(heard).view())?.squared_distance(&self.clap)?,
            Space::Timbre => {
                let rows = (timbre_rows(heard)? - &self.mean) / &self.deviation;
                Gaussian::fit(rows.view())?.squared_distance(&self.timbre)?
            }
        })
    }

    /// By how much one arm is farther from held-out music than another; both have the same prompts, which are resampled together.
    pub fn difference(&self, space: Space, arm: &[Heard], base: &[Heard]) -> Outcome<Interval> {
        let count = arm.len().min(base.len());
        // An error of a resample is told by the distance of all clips too.
        self.distance(space, &arm.iter().collect::<Vec<_>>())?;
        self.distance(space, &base.iter().collect::<Vec<_>>())?;
        Ok(bootstrap(count, RESAMPLES, rng(), |items| {
            let pick = |all: &[Heard]| {
                self.distance(space, &items.iter().map(|item| &all[*item]).collect::<Vec<_>>())
            };
            match (pick(arm), pick(base)) {
                (Ok(arm), Ok(base)) => Ok(arm - base),
                _ => Ok(f64::NAN),
            }
        })?)
    }
}

fn clap_rows(heard: &[&Heard]) -> Array2<f32> {
    gathered(heard.iter().map(|clip| &clip.windows))
}

fn timbre_rows(heard: &[&Heard]) -> Outcome<Array2<f32>> {
    let rows: Vec<&Vec<f32>> = heard.iter().flat_map(|clip| &clip.timbre).collect();
    let width = rows.first().map_or(0, |row| row.len());
    Ok(Array2::from_shape_vec((rows.len(), width), rows.into_iter().flatten().copied().collect())?)
}
