//! From a score to a piece: an excerpt, a key, a tempo, instruments and dynamics.

use super::key;
use super::read::{Run, Score};
use crate::compose::separate;
use crate::family::{Family, Program, Split};
use crate::metre::Metre;
use crate::piece::{
    Label, Note, Part, Piece, Role, STEP, Section, TAIL_SECS, TICKS_PER_BEAT, secs_to_ticks, ticks_to_secs,
};
use crate::rng::{Purpose, Rng};
use crate::style::{STYLES, Style};
use crate::theory::Key;
use crate::words;

/// Length of an excerpt, the ringing out included.
const SHORTEST_SECS: f64 = 30.0;
const LONGEST_SECS: f64 = 60.0;
/// How often another excerpt is drawn when one does not fit.
const TRIES: usize = 30;
/// By how much the best key must be ahead of the second, so that its tag is true.
pub(super) const CLEAR_KEY: f64 = 0.06;
/// A section has another key than the piece only where that is as clear as this.
const CLEAR_SECTION: f64 = 0.15;

/// Some bars of a score, from tick 0 on.
struct Excerpt {
    metre: Metre,
    tempo_bpm: u32,
    bars: u32,
    voices: Vec<Vec<Note>>,
    key: Key,
}

/// Arranges one of the scores; `None` when no excerpt of those tried will do.
pub(super) fn piece(pool: &[Score], seed: u64, index: u64, split: Split, rng: &mut Rng) -> Option<Piece> {
    let style = STYLES.into_iter().find(|style| style.name == "classical")?;
    let (score, excerpt) = (0..TRIES).find_map(|_| {
        let score = rng.pick(pool)?;
        excerpt(score, rng).map(|excerpt| (score, excerpt))
    })?;
    let sections = sections(&excerpt);
    let mut parts = instruments(&excerpt, split, rng);
    play(&excerpt, &sections, &mut parts, &mut Rng::for_piece(seed, index, Purpose::Humanise));
    let mut piece = Piece {
        index,
        split,
        style: style.name,
        key: excerpt.key,
        tempo_bpm: excerpt.tempo_bpm,
        metre: excerpt.metre,
        mood: "",
        parts,
        chords: Vec::new(),
        sections,
        lyrics: Vec::new(),
        captions: Vec::new(),
        source: Some(score.provenance.clone()),
    };
    finish(&mut piece, style, rng, &mut Rng::for_piece(seed, index, Purpose::Words));
    Some(piece)
}

/// Who plays in each section, and the words.
fn finish(piece: &mut Piece, style: &Style, rng: &mut Rng, words_rng: &mut Rng) {
    for section in &mut piece.sections {
        let within = |note: &Note| (section.start..section.end).contains(&(note.start + STEP / 2));
        let plays = |part: &&Part| part.notes.iter().any(within);
        section.families = piece.parts.iter().filter(plays).map(|part| part.family).collect();
    }
    piece.mood = words::mood(piece, style, rng);
    words::describe(piece, style, words_rng);
}

/// Draws an excerpt that begins together on a bar line, is long enough, and has a clear key.
fn excerpt(score: &Score, rng: &mut Rng) -> Option<Excerpt> {
    let run = rng.pick(&score.runs)?;
    let tempo_bpm = tempo(score.tempo_bpm, run.metre, rng);
    let bar_secs = ticks_to_secs(run.metre.bar_ticks(), tempo_bpm);
    let fewest = ((SHORTEST_SECS - TAIL_SECS) / bar_secs).ceil() as usize;
    let most = (((LONGEST_SECS - TAIL_SECS) / bar_secs).floor() as usize).min(run.bars as usize);
    if fewest > most || most < 6 {
        return None;
    }
    let bars = rng.int(fewest.max(6), most) as u32;
    let first = rng.int(0, (run.bars - bars) as usize) as u32;
    let up = rng.int(0, 11) as i16 - 5;
    let mut voices = cut(score, run, first, bars, up);
    // A voice that rests most of the time needs no player.
    voices.retain(|notes| 2 * notes.len() >= bars as usize);
    let all = || voices.iter().flatten();
    let begins = voices.iter().filter(|notes| notes.first().is_some_and(|note| note.start == 0)).count();
    let (key, lead) = key::estimate(all());
    let fits = 2 * begins > voices.len() && lead >= CLEAR_KEY && all().count() >= bars as usize * 4;
    fits.then_some(Excerpt { metre: run.metre, tempo_bpm, bars, voices, key })
}

/// The score's tempo, varied; whole beats a minute from 60 to 180.
fn tempo(quarters: f64, metre: Metre, rng: &mut Rng) -> u32 {
    let varied = quarters * rng.uniform(0.85, 1.2);
    match metre {
        // Dotted beats, even so that quarters are whole.
        Metre::SixEight => ((varied / 1.5 / 2.0).round() as u32).clamp(30, 60) * 3,
        _ => (varied.round() as u32).clamp(60, 180),
    }
}

/// The notes that begin in some bars, transposed; those that ring over the end are cut there.
fn cut(score: &Score, run: &Run, first: u32, bars: u32, up: i16) -> Vec<Vec<Note>> {
    let start = run.start + first * run.metre.bar_ticks();
    let length = bars * run.metre.bar_ticks();
    let inside = |note: &&Note| (start..start + length).contains(&note.start);
    let moved = |note: &Note| Note {
        start: note.start - start,
        length: note.length.min(start + length - note.start),
        key: (i16::from(note.key) + up).clamp(0, 127) as u8,
        ..*note
    };
    score.voices.iter().map(|notes| notes.iter().filter(inside).map(moved).collect()).collect()
}

/// Three or four sections; the busiest is called the chorus, so that labels tell of energy here, not of form.
fn sections(excerpt: &Excerpt) -> Vec<Section> {
    let count = if excerpt.bars >= 16 { 4 } else { 3 };
    let bar_ticks = excerpt.metre.bar_ticks();
    let edges: Vec<u32> = (0..=count).map(|part| part * excerpt.bars / count * bar_ticks).collect();
    let within = |note: &&Note, pair: &[u32]| (pair[0]..pair[1]).contains(&note.start);
    let density = |pair: &[u32]| {
        let notes = excerpt.voices.iter().flatten().filter(|note| within(note, pair)).count();
        notes as f64 / f64::from(pair[1] - pair[0])
    };
    let densities: Vec<f64> = edges.windows(2).map(density).collect();
    let most = densities.iter().copied().fold(0.0, f64::max).max(1e-9);
    let busiest = densities.iter().position(|density| *density >= most).unwrap_or(0);
    let tail = secs_to_ticks(TAIL_SECS, excerpt.tempo_bpm);
    edges
        .windows(2)
        .enumerate()
        .map(|(index, pair)| {
            let (own, lead) =
                key::estimate(excerpt.voices.iter().flatten().filter(|note| within(note, pair)));
            let is_last = index + 1 == densities.len();
            Section {
                label: match index {
                    _ if index == busiest => Label::Chorus,
                    _ if is_last => Label::Outro,
                    0 | 1 => Label::Verse,
                    _ => Label::Bridge,
                },
                key: if lead >= CLEAR_SECTION { own } else { excerpt.key },
                start: pair[0],
                end: pair[1] + if is_last { tail } else { 0 },
                energy: 0.3 + 0.5 * densities[index] / most,
                families: Vec::new(),
                caption: String::new(),
            }
        })
        .collect()
}

/// The families that can take a whole score, its top, its middle and its bottom.
const WHOLE: &[Family] = &[Family::Piano, Family::Organ, Family::Strings, Family::Choir, Family::Guitar];
const TOP: &[Family] =
    &[Family::Strings, Family::Woodwind, Family::Brass, Family::Mallets, Family::Piano, Family::Lead];
const MIDDLE: &[Family] = &[
    Family::Organ,
    Family::Guitar,
    Family::Strings,
    Family::Choir,
    Family::Piano,
    Family::Pad,
    Family::Brass,
];
const BOTTOM: &[Family] = &[Family::Bass, Family::Bass, Family::Brass, Family::Strings, Family::Piano];

/// Shares the voices among one to four instruments of different families.
fn instruments(excerpt: &Excerpt, split: Split, rng: &mut Rng) -> Vec<Part> {
    let voices = excerpt.voices.len();
    let count = (1 + rng.weighted(&[0.25, 0.2, 0.3, 0.25])).min(voices);
    let novel = split == Split::Heldout && rng.chance(1.0 / 3.0);
    let mut parts: Vec<Part> = Vec::with_capacity(count);
    for place in 0..count {
        let (list, role) = match place {
            0 if count == 1 => (WHOLE, Role::Solo),
            0 => (TOP, Role::Melody),
            _ if place + 1 == count && count > 2 => (BOTTOM, Role::Bass),
            _ if count == 4 => (MIDDLE, Role::Counter),
            _ => (MIDDLE, Role::Chords),
        };
        let free: Vec<Family> =
            list.iter().copied().filter(|family| parts.iter().all(|part| part.family != *family)).collect();
        // The first and last voices have instruments of their own, those between share what is left.
        let (from, to) = share(place, count, voices);
        let notes: Vec<Note> = excerpt.voices[from..to].iter().flatten().copied().collect();
        let (family, program) = choose(&free, &notes, to - from > 1, novel, rng);
        parts.push(Part { family, program, role, notes: settle(notes, program) });
    }
    parts
}

/// Which voices an instrument plays.
fn share(place: usize, count: usize, voices: usize) -> (usize, usize) {
    match (count, place) {
        (1, _) => (0, voices),
        (2, 0) => (0, 1),
        (2, _) => (1, voices),
        (3, 1) => (1, voices - 1),
        (_, _) if place + 1 == count => (voices - 1, voices),
        (4, 2) => (2, voices - 1),
        _ => (place, place + 1),
    }
}

/// A program of one of the families that can play the notes where they are, or failing that any.
fn choose(
    families: &[Family],
    notes: &[Note],
    needs_chords: bool,
    novel: bool,
    rng: &mut Rng,
) -> (Family, &'static Program) {
    let fits = |program: &&Program| (!needs_chords || program.poly) && program.held_out == novel;
    let programs = |family: Family| {
        family.programs().iter().filter(fits).map(move |program| (family, program)).collect::<Vec<_>>()
    };
    let reaches = |program: &Program| {
        let range = program.low..=program.high;
        notes.iter().filter(|note| !range.contains(&note.key)).count() * 8 <= notes.len()
    };
    // Family by family, so that those with many programs are not the more frequent.
    let all: Vec<Vec<(Family, &'static Program)>> = families.iter().map(|family| programs(*family)).collect();
    let reaching: Vec<Vec<(Family, &'static Program)>> = all
        .iter()
        .map(|list| list.iter().copied().filter(|(_, program)| reaches(program)).collect::<Vec<_>>())
        .filter(|list| !list.is_empty())
        .collect();
    let lists = if reaching.is_empty() { &all } else { &reaching };
    let fallback = (Family::Pad, &Family::Pad.programs()[0]);
    rng.pick(lists).and_then(|list| rng.pick(list)).copied().unwrap_or(fallback)
}

/// Moves a voice by whole octaves to where most of it can be played, and folds the rest into the range.
fn settle(mut notes: Vec<Note>, program: &Program) -> Vec<Note> {
    let range = i16::from(program.low)..=i16::from(program.high);
    let outside = |up: i16| notes.iter().filter(|note| !range.contains(&(i16::from(note.key) + up))).count();
    // A few notes beyond the range are no reason to move the voice below or above its neighbours.
    let cost = |up: &i16| outside(*up) + if *up == 0 { 0 } else { notes.len() / 6 };
    let up = [0, 12, -12, 24, -24].into_iter().min_by_key(cost).unwrap_or(0);
    for note in &mut notes {
        let mut key = i16::from(note.key) + up;
        while key < *range.start() {
            key += 12;
        }
        while key > *range.end() {
            key -= 12;
        }
        note.key = key.clamp(0, 127) as u8;
    }
    notes
}

/// Dynamics, accents and small deviations of time.
fn play(excerpt: &Excerpt, sections: &[Section], parts: &mut [Part], rng: &mut Rng) {
    const TIMING_SECS: f64 = 0.006;
    let limit = sections.last().map_or(0, |section| section.end);
    let bar = excerpt.metre.bar_ticks();
    let merge = secs_to_ticks(0.03, excerpt.tempo_bpm);
    for part in parts {
        for note in &mut part.notes {
            let section = sections.iter().find(|section| note.start < section.end);
            let accent = match note.start {
                start if start % bar == 0 => 5.0,
                start if start % excerpt.metre.beat_ticks() == 0 => 1.0,
                _ => -3.0,
            };
            let phrase = f64::from(note.start % (4 * bar)) / f64::from(4 * bar);
            let arch = 10.0 * 4.0 * phrase * (1.0 - phrase) - 5.0;
            let lead = if matches!(part.role, Role::Melody | Role::Solo) { 6.0 } else { 0.0 };
            let level = 62.0 + 44.0 * section.map_or(0.5, |section| section.energy);
            note.velocity = (level + accent + arch + lead + 3.0 * rng.normal()).clamp(24.0, 124.0) as u8;
            let shift =
                rng.normal() * TIMING_SECS * f64::from(excerpt.tempo_bpm) / 60.0 * f64::from(TICKS_PER_BEAT);
            note.start = (f64::from(note.start) + shift).max(0.0) as u32;
        }
        part.notes = separate(&part.notes, merge, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voice_is_played_once() {
        for (voices, count) in
            (1..=6).flat_map(|voices| (1..=voices.min(4)).map(move |count| (voices, count)))
        {
            let mut played: Vec<usize> = (0..count)
                .flat_map(|place| {
                    let (from, to) = share(place, count, voices);
                    from..to
                })
                .collect();
            played.sort_unstable();
            assert_eq!(played, (0..voices).collect::<Vec<_>>(), "{voices} voices for {count}");
        }
    }

    #[test]
    fn a_voice_keeps_its_shape_where_the_range_allows() {
        let flute = &Family::Woodwind.programs()[4];
        let low: Vec<Note> =
            [48, 52, 55].map(|key| Note { start: 0, length: 10, key, velocity: 80 }).to_vec();
        let keys: Vec<u8> = settle(low, flute).iter().map(|note| note.key).collect();
        assert_eq!(keys, [60, 64, 67]);
    }
}
