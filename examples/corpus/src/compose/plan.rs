//! The plan of a piece: style, key, metre, tempo, form, players and harmony, before any note.

use super::arrange::{self, Player};
use super::form::{self, PlannedSection};
use super::harmony::Harmony;
use crate::family::{Family, Split};
use crate::metre::Metre;
use crate::piece::{Label, Role, TAIL_SECS, secs_to_ticks};
use crate::rng::Rng;
use crate::style::{STYLES, Style};
use crate::theory::{Key, Mode};

/// The plan of a piece.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) style: &'static Style,
    pub(crate) key: Key,
    /// Quarter notes per minute.
    pub(crate) tempo_bpm: u32,
    pub(crate) metre: Metre,
    pub(crate) sections: Vec<PlannedSection>,
    pub(crate) players: Vec<Player>,
    pub(crate) harmony: Harmony,
}

impl Plan {
    /// Draws a plan; `soloist` is the only one to play, if there is to be one.
    pub(crate) fn draw(rng: &mut Rng, split: Split, soloist: Option<Family>) -> Self {
        let style = style(soloist, rng);
        let mode = if rng.chance(style.minor_share) { Mode::Minor } else { Mode::Major };
        let key = Key { tonic: rng.int(0, 11) as u8, mode };
        let metre = Metre::ALL[rng.weighted(&style.metres)];
        let tempo_bpm = tempo(style, metre, rng);
        let mut sections = form::draw(style, key, tempo_bpm, metre, rng);
        let players = arrange::players(style, split, soloist, rng);
        arrange::activate(&mut sections, &players, style, rng);
        let harmony = Harmony::draw(style, key, tempo_bpm, metre, &sections, rng);
        Self { style, key, tempo_bpm, metre, sections, players, harmony }
    }

    pub(crate) fn bar_ticks(&self) -> u32 {
        self.metre.bar_ticks()
    }

    /// Sixteenths of a bar.
    pub(crate) fn bar_steps(&self) -> u32 {
        self.metre.bar_steps()
    }

    pub(crate) fn bars(&self) -> u32 {
        form::bars(&self.sections)
    }

    /// Last tick of the piece, the ringing out included.
    pub(crate) fn end(&self) -> u32 {
        self.bars() * self.bar_ticks() + secs_to_ticks(TAIL_SECS, self.tempo_bpm)
    }

    /// Length of a quarter note.
    pub(crate) fn quarter_secs(&self) -> f64 {
        60.0 / f64::from(self.tempo_bpm)
    }

    /// So many seconds in ticks.
    pub(crate) fn ticks(&self, secs: f64) -> u32 {
        secs_to_ticks(secs, self.tempo_bpm)
    }

    /// Whether a bar is the last: everyone holds the final chord there.
    pub(crate) fn is_final(&self, bar: u32) -> bool {
        bar + 1 == self.bars()
    }

    /// The sections a player plays in.
    pub(crate) fn sections_of(&self, player: usize) -> impl Iterator<Item = &PlannedSection> {
        self.sections.iter().filter(move |section| section.plays(player))
    }

    /// The section after one, if any.
    pub(crate) fn after(&self, section: &PlannedSection) -> Option<&PlannedSection> {
        self.sections.iter().find(|next| next.first_bar == section.end_bar())
    }

    /// Whether a section prepares a chorus that is louder than itself.
    pub(crate) fn builds(&self, section: &PlannedSection) -> bool {
        self.after(section)
            .is_some_and(|next| next.label == Label::Chorus && next.energy > section.energy + 0.1)
    }

    /// Whether anyone plays a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.players.iter().any(|player| player.role == role)
    }

    /// The energy at a tick: the section's, rising before a louder chorus, falling in an outro.
    pub(crate) fn energy(&self, section: &PlannedSection, tick: u32) -> f64 {
        let bar_ticks = f64::from(self.bar_ticks());
        let place = (f64::from(tick) / bar_ticks - f64::from(section.first_bar)).max(0.0);
        let bars = f64::from(section.bars);
        // A phrase breathes: a little louder in its middle than at its ends.
        let phrase = (place % 4.0) / 4.0;
        let breath = 0.06 * (4.0 * phrase * (1.0 - phrase)) - 0.03;
        let rise_bars = 2.0f64.min(bars / 2.0);
        let rise = ((place - (bars - rise_bars)) / rise_bars).clamp(0.0, 1.0);
        let moved = match self.after(section) {
            Some(next) if self.builds(section) => rise * (next.energy - section.energy) * 0.8,
            None if section.label == Label::Outro => -0.2 * (place / bars).min(1.0),
            _ => 0.0,
        };
        (section.energy + breath + moved).clamp(0.0, 1.0)
    }

    /// How hard notes are struck at a tick of a section: 60 to 110 before accents.
    pub(crate) fn velocity(&self, section: &PlannedSection, tick: u32) -> f64 {
        60.0 + 50.0 * self.energy(section, tick)
    }
}

/// Any style; drums alone need one that has grooves.
fn style(soloist: Option<Family>, rng: &mut Rng) -> &'static Style {
    loop {
        let style: &'static Style = STYLES[rng.int(0, STYLES.len() - 1)];
        if soloist != Some(Family::Drums) || !style.grooves.is_empty() {
            return style;
        }
    }
}

/// A tempo in the style's range; in 6/8 the dotted beat has the slower half of it, and quarters are half as fast again.
fn tempo(style: &Style, metre: Metre, rng: &mut Rng) -> u32 {
    let (slowest, fastest) = (style.tempo_bpm.0 as usize, style.tempo_bpm.1 as usize);
    match metre {
        Metre::SixEight => {
            let beat = rng.int(slowest.max(60), ((slowest + fastest) / 2).clamp(64, 108)) as u32;
            // Whole numbers of both beats and quarters.
            beat / 2 * 3
        }
        _ => rng.int(slowest, fastest) as u32,
    }
}
