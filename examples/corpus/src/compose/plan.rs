//! The plan of a piece: style, key, tempo, form, players and harmony, before any note.

use super::arrange::{self, Player};
use super::harmony::Harmony;
use crate::family::Split;
use crate::piece::{Label, TAIL_SECS, TICKS_PER_BEAT, secs_to_ticks};
use crate::rng::Rng;
use crate::style::{STYLES, Style};
use crate::theory::{Key, Mode};

/// Shortest and longest piece in seconds, the ringing out included.
const SHORTEST_SECS: f64 = 30.0;
const LONGEST_SECS: f64 = 60.0;

/// A section before it has notes.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSection {
    pub(crate) label: Label,
    pub(crate) first_bar: u32,
    pub(crate) bars: u32,
    pub(crate) energy: f64,
    /// For each player, whether it plays here.
    pub(crate) active: Vec<bool>,
}

impl PlannedSection {
    pub(crate) fn end_bar(&self) -> u32 {
        self.first_bar + self.bars
    }
}

/// The plan of a piece.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) style: &'static Style,
    pub(crate) key: Key,
    pub(crate) tempo_bpm: u32,
    pub(crate) beats_per_bar: u32,
    pub(crate) sections: Vec<PlannedSection>,
    pub(crate) players: Vec<Player>,
    pub(crate) harmony: Harmony,
}

impl Plan {
    /// Draws a plan.
    pub(crate) fn draw(rng: &mut Rng, split: Split) -> Self {
        let style: &'static Style = STYLES[rng.int(0, STYLES.len() - 1)];
        let mode = if rng.chance(style.minor_share) { Mode::Minor } else { Mode::Major };
        let key = Key { tonic: rng.int(0, 11) as u8, mode };
        let tempo_bpm = rng.int(style.tempo_bpm.0 as usize, style.tempo_bpm.1 as usize) as u32;
        let beats_per_bar = if rng.chance(style.waltz_share) { 3 } else { 4 };
        let mut sections = form(tempo_bpm, beats_per_bar, rng);
        let players = arrange::players(style, split, rng);
        arrange::activate(&mut sections, &players, style, rng);
        let harmony = Harmony::draw(style, key, tempo_bpm, beats_per_bar, &sections, rng);
        Self { style, key, tempo_bpm, beats_per_bar, sections, players, harmony }
    }

    pub(crate) fn bar_ticks(&self) -> u32 {
        self.beats_per_bar * TICKS_PER_BEAT
    }

    /// Sixteenths of a bar.
    pub(crate) fn bar_steps(&self) -> u32 {
        self.beats_per_bar * 4
    }

    pub(crate) fn bars(&self) -> u32 {
        self.sections.last().map_or(0, PlannedSection::end_bar)
    }

    /// Last tick of the piece, the ringing out included.
    pub(crate) fn end(&self) -> u32 {
        self.bars() * self.bar_ticks() + secs_to_ticks(TAIL_SECS, self.tempo_bpm)
    }

    pub(crate) fn beat_secs(&self) -> f64 {
        60.0 / f64::from(self.tempo_bpm)
    }

    /// Whether a bar is the last: everyone holds the final chord there.
    pub(crate) fn is_final(&self, bar: u32) -> bool {
        bar + 1 == self.bars()
    }

    /// The sections a player plays in.
    pub(crate) fn sections_of(&self, player: usize) -> impl Iterator<Item = &PlannedSection> {
        self.sections.iter().filter(move |section| section.active.get(player).copied().unwrap_or(false))
    }

    /// How hard notes are struck at an energy of 0 to 1.
    ///
    /// A narrow range: General MIDI instruments lose some 8 dB from 100 to 64.
    pub(crate) fn velocity(energy: f64) -> f64 {
        70.0 + 34.0 * energy
    }
}

/// Sections whose bars fill 30 to 60 s: whole units of two or four bars.
fn form(tempo_bpm: u32, beats_per_bar: u32, rng: &mut Rng) -> Vec<PlannedSection> {
    let bar_secs = f64::from(beats_per_bar) * 60.0 / f64::from(tempo_bpm);
    let unit_bars: u32 = if bar_secs < 2.2 { 4 } else { 2 };
    let unit_secs = f64::from(unit_bars) * bar_secs;
    let fewest = ((SHORTEST_SECS - TAIL_SECS) / unit_secs).ceil() as usize;
    let most = ((LONGEST_SECS - TAIL_SECS) / unit_secs).floor() as usize;
    let units = rng.int(fewest, most);
    let labels = labels(units, rng);
    let lengths = share_units(&labels, units, rng);
    let mut first_bar = 0;
    labels
        .into_iter()
        .zip(lengths)
        .map(|(label, units)| {
            let bars = units as u32 * unit_bars;
            let section =
                PlannedSection { label, first_bar, bars, energy: energy(label, rng), active: Vec::new() };
            first_bar += bars;
            section
        })
        .collect()
}

/// Three to six labels, at most one per unit; every form has a chorus.
fn labels(units: usize, rng: &mut Rng) -> Vec<Label> {
    use Label::{Bridge, Chorus, Intro, Outro, Verse};
    const FORMS: [&[Label]; 11] = [
        &[Verse, Chorus, Outro],
        &[Intro, Verse, Chorus],
        &[Verse, Bridge, Chorus],
        &[Intro, Verse, Chorus, Outro],
        &[Verse, Chorus, Bridge, Chorus],
        &[Intro, Verse, Bridge, Chorus],
        &[Intro, Verse, Chorus, Bridge, Chorus],
        &[Intro, Verse, Chorus, Verse, Outro],
        &[Verse, Chorus, Verse, Chorus, Outro],
        &[Intro, Verse, Chorus, Verse, Chorus, Outro],
        &[Intro, Verse, Chorus, Bridge, Chorus, Outro],
    ];
    let fitting: Vec<&[Label]> = FORMS.into_iter().filter(|form| form.len() <= units).collect();
    rng.pick(&fitting).map_or_else(|| FORMS[0].to_vec(), |form| form.to_vec())
}

/// One unit each, the rest to verses and choruses first.
fn share_units(labels: &[Label], units: usize, rng: &mut Rng) -> Vec<usize> {
    let mut lengths = vec![1; labels.len()];
    for _ in labels.len()..units {
        let weights: Vec<f64> = labels
            .iter()
            .zip(&lengths)
            .map(|(label, length)| {
                let wish = match label {
                    Label::Verse | Label::Chorus => 2.0,
                    Label::Bridge => 0.7,
                    Label::Intro | Label::Outro => 0.15,
                };
                // The longer a section already is, the less it asks for more.
                wish / (*length as f64).powi(2)
            })
            .collect();
        lengths[rng.weighted(&weights)] += 1;
    }
    lengths
}

fn energy(label: Label, rng: &mut Rng) -> f64 {
    let middle = match label {
        Label::Intro => 0.4,
        Label::Verse => 0.55,
        Label::Chorus => 0.9,
        Label::Bridge => 0.6,
        Label::Outro => 0.35,
    };
    middle + rng.uniform(-0.1, 0.1)
}
