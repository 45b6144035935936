//! Sections: their order, lengths, keys and energies.

use crate::metre::Metre;
use crate::piece::{Label, TAIL_SECS};
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::{Key, Mode};
use Label::{Bridge, Chorus, Intro, Outro, Verse};

/// Shortest and longest piece in seconds, the ringing out included.
const SHORTEST_SECS: f64 = 30.0;
const LONGEST_SECS: f64 = 60.0;

/// A section before it has notes.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSection {
    pub(crate) label: Label,
    /// How many sections of its kind came before.
    pub(crate) turn: usize,
    pub(crate) first_bar: u32,
    pub(crate) bars: u32,
    pub(crate) key: Key,
    pub(crate) energy: f64,
    /// For each player, whether it plays here.
    pub(crate) active: Vec<bool>,
}

impl PlannedSection {
    pub(crate) fn end_bar(&self) -> u32 {
        self.first_bar + self.bars
    }

    pub(crate) fn plays(&self, player: usize) -> bool {
        self.active.get(player).copied().unwrap_or(false)
    }
}

/// Bars of all sections.
pub(crate) fn bars(sections: &[PlannedSection]) -> u32 {
    sections.last().map_or(0, PlannedSection::end_bar)
}

/// Draws the sections of a piece of 30 to 60 s.
pub(crate) fn draw(
    style: &Style,
    key: Key,
    tempo_bpm: u32,
    metre: Metre,
    rng: &mut Rng,
) -> Vec<PlannedSection> {
    let bar_secs =
        f64::from(metre.bar_ticks()) / f64::from(crate::piece::TICKS_PER_BEAT) * 60.0 / f64::from(tempo_bpm);
    let twelve = style.has_twelve_bars().then(|| twelve_bars(bar_secs, rng)).flatten();
    let lengths = twelve.unwrap_or_else(|| free(bar_secs, rng));
    let mut sections: Vec<PlannedSection> = Vec::with_capacity(lengths.len());
    for (label, bars) in lengths {
        let turn = sections.iter().filter(|before| before.label == label).count();
        let first_bar = sections.last().map_or(0, PlannedSection::end_bar);
        let energy = energy(label, turn, rng);
        sections.push(PlannedSection { label, turn, first_bar, bars, key, energy, active: Vec::new() });
    }
    modulate(&mut sections, style, key, rng);
    sections
}

/// One or two choruses of twelve bars, where they fit.
fn twelve_bars(bar_secs: f64, rng: &mut Rng) -> Option<Vec<(Label, u32)>> {
    /// How often a style that knows them uses them.
    const SHARE: f64 = 0.8;
    const FORMS: [&[(Label, u32)]; 6] = [
        &[(Verse, 8), (Chorus, 4), (Outro, 2)],
        &[(Intro, 2), (Verse, 8), (Chorus, 4), (Outro, 2)],
        &[(Intro, 4), (Verse, 8), (Chorus, 4), (Outro, 2)],
        &[(Intro, 2), (Verse, 12), (Chorus, 12), (Outro, 2)],
        &[(Verse, 12), (Chorus, 12), (Outro, 2)],
        &[(Intro, 4), (Verse, 12), (Chorus, 12), (Outro, 4)],
    ];
    let fits = |form: &&&[(Label, u32)]| {
        let secs = f64::from(form.iter().map(|(_, bars)| bars).sum::<u32>()) * bar_secs + TAIL_SECS;
        (SHORTEST_SECS..=LONGEST_SECS).contains(&secs)
    };
    let fitting: Vec<&[(Label, u32)]> = FORMS.iter().filter(fits).copied().collect();
    let form = rng.pick(&fitting).map(|form| form.to_vec());
    form.filter(|_| rng.chance(SHARE))
}

/// Sections of whole units of two or four bars.
fn free(bar_secs: f64, rng: &mut Rng) -> Vec<(Label, u32)> {
    let unit_bars: u32 = if bar_secs < 2.2 { 4 } else { 2 };
    let unit_secs = f64::from(unit_bars) * bar_secs;
    let fewest = ((SHORTEST_SECS - TAIL_SECS) / unit_secs).ceil() as usize;
    let most = ((LONGEST_SECS - TAIL_SECS) / unit_secs).floor() as usize;
    let units = rng.int(fewest, most);
    let labels = labels(units, rng);
    let lengths = share_units(&labels, units, rng);
    labels.into_iter().zip(lengths.into_iter().map(|units| units as u32 * unit_bars)).collect()
}

/// Three to six labels, at most one per unit; every form has a chorus.
fn labels(units: usize, rng: &mut Rng) -> Vec<Label> {
    const FORMS: [&[Label]; 12] = [
        &[Verse, Chorus, Outro],
        &[Intro, Verse, Chorus],
        &[Verse, Bridge, Chorus],
        &[Intro, Verse, Chorus, Outro],
        &[Verse, Chorus, Bridge, Chorus],
        &[Intro, Verse, Bridge, Chorus],
        &[Intro, Verse, Chorus, Bridge, Chorus],
        &[Intro, Verse, Chorus, Verse, Outro],
        &[Intro, Verse, Chorus, Verse, Chorus],
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
                    Verse | Chorus => 2.0,
                    Bridge => 0.7,
                    Intro | Outro => 0.15,
                };
                // The longer a section already is, the less it asks for more.
                let length: f64 = f64::from(*length as u32);
                wish / (length * length)
            })
            .collect();
        lengths[rng.weighted(&weights)] += 1;
    }
    lengths
}

/// A section's loudness and density; the second verse and chorus outdo the first.
fn energy(label: Label, turn: usize, rng: &mut Rng) -> f64 {
    let again = turn > 0;
    let middle = match label {
        Intro => 0.32,
        Verse if again => 0.55,
        Verse => 0.46,
        Chorus if again => 0.92,
        Chorus => 0.82,
        Bridge => 0.5,
        Outro => 0.3,
    };
    middle + rng.uniform(-0.08, 0.08)
}

/// Now and then the bridge is in a related key, or the last chorus and what follows it one or two semitones higher.
fn modulate(sections: &mut [PlannedSection], style: &Style, home: Key, rng: &mut Rng) {
    /// Share of bridges in another key.
    const BRIDGES: f64 = 0.4;
    let bridge_key = related(home, rng);
    if style.modulates && rng.chance(BRIDGES) {
        let mut bridges = sections.iter_mut().filter(|section| section.label == Bridge);
        bridges.by_ref().for_each(|bridge| bridge.key = bridge_key);
    }
    let lift = 1 + rng.int(0, 1) as u8;
    let away = sections.iter().any(|section| section.key != home);
    let last_chorus = sections.iter().rposition(|section| section.label == Chorus && section.turn > 0);
    let lifts = rng.chance(style.lift_share) && !away;
    // The home key keeps the larger part of the piece.
    let all_bars = bars(sections);
    let is_short = |from: &usize| 5 * (all_bars - sections[*from].first_bar) <= 2 * all_bars;
    if let Some(from) = last_chorus.filter(|from| lifts && is_short(from)) {
        let raised = Key { tonic: (home.tonic + lift) % 12, mode: home.mode };
        sections[from..].iter_mut().for_each(|section| section.key = raised);
    }
}

/// The relative key, the subdominant's, the dominant's or the parallel one.
fn related(home: Key, rng: &mut Rng) -> Key {
    let (relative, opposite) = match home.mode {
        Mode::Major => (9, Mode::Minor),
        Mode::Minor => (3, Mode::Major),
    };
    let (up, mode) = match rng.weighted(&[0.5, 0.2, 0.15, 0.15]) {
        0 => (relative, opposite),
        1 => (5, home.mode),
        2 => (7, home.mode),
        _ => (0, opposite),
    };
    Key { tonic: (home.tonic + up) % 12, mode }
}
