//! Tempo and key of clips, against what was asked for.

use musicot::core::AudioBuffer;
use musicot_eval::chroma::Chroma;
use musicot_eval::key::{Key, KeyScores};
use musicot_eval::tempo::{TempoCurve, within};

use crate::common::Outcome;
use crate::wide::Cell;

/// How far a tempo may be off.
const TOLERANCE: f64 = 0.08;

/// What one clip has, or is to have; `None` for a tempo or key that cannot be heard, or was not named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Music {
    pub bpm: Option<f64>,
    pub key: Option<Key>,
}

impl Music {
    /// What is heard of a clip.
    pub fn heard(clip: &AudioBuffer) -> Outcome<Self> {
        let bpm = TempoCurve::of(clip)?.tempo().map(|tempo| tempo.bpm);
        let key = match KeyScores::of(&Chroma::of(clip)?) {
            Ok(scores) => Some(scores.best),
            Err(musicot_eval::Error::Silent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { bpm, key })
    }

    /// What a piece's tags say.
    pub fn tagged(bpm: Option<f64>, key: Option<&str>) -> Outcome<Self> {
        Ok(Self { bpm, key: key.map(str::parse).transpose()? })
    }
}

/// Whether what is heard is what was asked for, or how near; `None` where nothing was.
pub type Hit = fn(heard: &Music, asked: &Music) -> Outcome<Option<f64>>;

/// The tempo within 8 %.
pub fn tempo(heard: &Music, asked: &Music) -> Outcome<Option<f64>> {
    tempo_or_octave(heard, asked, false)
}

/// The tempo, its half or its double within 8 %.
pub fn octaves(heard: &Music, asked: &Music) -> Outcome<Option<f64>> {
    tempo_or_octave(heard, asked, true)
}

fn tempo_or_octave(heard: &Music, asked: &Music, octaves: bool) -> Outcome<Option<f64>> {
    let Some(asked) = asked.bpm else { return Ok(None) };
    let is_hit = match heard.bpm {
        Some(bpm) => within(bpm, asked, TOLERANCE, octaves)?,
        None => false,
    };
    Ok(Some(f64::from(is_hit)))
}

/// Tonic and mode.
pub fn key(heard: &Music, asked: &Music) -> Outcome<Option<f64>> {
    Ok(asked.key.map(|asked| f64::from(heard.key == Some(asked))))
}

/// Nearness of the key by the weights of MIREX.
pub fn mirex(heard: &Music, asked: &Music) -> Outcome<Option<f64>> {
    Ok(asked.key.map(|asked| heard.key.map_or(0.0, |heard| heard.mirex_score(asked))))
}

/// Hits of clips, and what chance would give.
pub struct Hits {
    /// Of each clip that was asked for something.
    pub own: Vec<f64>,
    /// The same clips' mean against what the others were asked for; as long, or empty where there is no other.
    pub others: Vec<f64>,
}

impl Hits {
    /// Scores clips against what each was asked for.
    pub fn of(hit: Hit, clips: &[(Music, Music)]) -> Outcome<Self> {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (number, (heard, asked)) in clips.iter().enumerate() {
            let Some(value) = hit(heard, asked)? else { continue };
            own.push(value);
            let mut against = Vec::new();
            for (other, (_, asked)) in clips.iter().enumerate() {
                against.extend(if other == number { None } else { hit(heard, asked)? });
            }
            if !against.is_empty() {
                others.push(against.iter().sum::<f64>() / against.len() as f64);
            }
        }
        Ok(Self { own, others })
    }

    /// Both means.
    pub fn cells(&self) -> Outcome<[Option<Cell>; 2]> {
        Ok([Cell::mean_of(&self.own)?, Cell::mean_of(&self.others)?])
    }
}
