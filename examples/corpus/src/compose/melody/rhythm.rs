//! Rhythms of tunes: bars made of beat cells, syncopated now and then.

use crate::metre::Metre;
use crate::rng::Rng;

/// Start and length of a note in sixteenths.
pub(super) type Beat = (u32, u32);

/// What a bar's rhythm depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) metre: Metre,
    pub(super) quarter_secs: f64,
    /// How busy, 0 to 1.
    pub(super) density: f64,
    /// How often a note comes an eighth before its beat.
    pub(super) syncopation: f64,
}

impl Pace {
    /// A bar's rhythm; notes faster than about nine a second are never written.
    pub(super) fn bar(&self, rng: &mut Rng) -> Vec<Beat> {
        let mut notes: Vec<Beat> = Vec::new();
        let (cells, weights) = self.cells();
        let steps = self.metre.beat_steps();
        for beat in 0..self.metre.beats() {
            let cell = cells[rng.weighted(&weights)];
            if cell.is_empty() {
                // Nothing new: the note before goes on, if there is one and it is not too long yet.
                if let Some((_, length)) = notes.last_mut().filter(|(_, length)| *length <= 8) {
                    *length += steps;
                }
            }
            notes.extend(cell.iter().map(|(start, length)| (beat * steps + start, *length)));
        }
        if notes.is_empty() {
            notes.push((0, self.metre.bar_steps()));
        }
        self.syncopate(&mut notes, rng);
        notes
    }

    /// The cells of a beat and how likely each is.
    fn cells(&self) -> (&'static [&'static [Beat]], Vec<f64>) {
        const SIMPLE: &[&[Beat]] = &[
            &[],
            &[(0, 4)],
            &[(0, 2), (2, 2)],
            &[(2, 2)],
            &[(0, 3), (3, 1)],
            &[(0, 2), (2, 1), (3, 1)],
            &[(0, 1), (1, 1), (2, 2)],
        ];
        const COMPOUND: &[&[Beat]] = &[
            &[],
            &[(0, 6)],
            &[(0, 4), (4, 2)],
            &[(0, 2), (2, 2), (4, 2)],
            &[(0, 3), (3, 1), (4, 2)],
            &[(2, 4)],
        ];
        let density = self.density;
        if self.metre == Metre::SixEight {
            return (COMPOUND, vec![0.5 - 0.4 * density, 0.9, 1.0, 1.6 * density, 0.5 * density, 0.3]);
        }
        let eighths = if self.quarter_secs >= 0.38 { 1.5 } else { 0.6 };
        let sixteenths = if self.quarter_secs >= 0.6 { 0.45 } else { 0.0 };
        let weights = vec![
            1.3 - density,
            1.0,
            density * eighths,
            density * 0.4 * eighths,
            density * sixteenths,
            density * sixteenths * 0.7,
            density * sixteenths * 0.7,
        ];
        (SIMPLE, weights)
    }

    /// Moves some notes on beats inside the bar an eighth ahead.
    fn syncopate(&self, notes: &mut [Beat], rng: &mut Rng) {
        for index in 1..notes.len() {
            let (start, length) = notes[index];
            let free = start - notes[index - 1].0 >= 4;
            if start % self.metre.beat_steps() == 0 && free && rng.chance(self.syncopation) {
                notes[index] = (start - 2, length + 2);
                let before = &mut notes[index - 1];
                before.1 = before.1.min(start - 2 - before.0);
            }
        }
    }

    /// The last bar of a phrase: the figure's beginning, then one long note and a rest.
    pub(super) fn close(&self, figure: &[Beat]) -> Vec<Beat> {
        let beat = self.metre.beat_steps();
        let landing = self.metre.bar_steps() / 2 / beat * beat;
        let mut notes: Vec<Beat> = figure
            .iter()
            .filter(|(start, _)| *start < landing)
            .map(|(start, length)| (*start, (*length).min(landing - start)))
            .collect();
        let rest = beat.min((self.metre.bar_steps() - landing) / 2);
        notes.push((landing, self.metre.bar_steps() - landing - rest));
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn bars_hold_their_notes_in_order() {
        let rng = &mut Rng::for_piece(1, 2, Purpose::Music);
        for (metre, turn) in Metre::ALL.into_iter().flat_map(|metre| (0..200).map(move |turn| (metre, turn)))
        {
            let density = f64::from(turn) / 200.0;
            let pace = Pace { metre, quarter_secs: 0.7, density, syncopation: 0.5 };
            let figure = pace.bar(rng);
            for notes in [&figure, &pace.close(&figure)] {
                assert!(
                    notes.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0),
                    "{metre:?} {notes:?}"
                );
                let (start, length) = notes[notes.len() - 1];
                assert!(start + length <= metre.bar_steps() && length > 0, "{metre:?} {notes:?}");
            }
        }
    }
}
