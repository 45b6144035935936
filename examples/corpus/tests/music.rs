//! Laws of the music: harmony, tunes, bass lines and dynamics, measured against the chords that were planned.

use musicot_corpus::{
    Chord, ChordSpan, Family, Label, Note, Part, Piece, Role, Section, Split, TICKS_PER_BEAT, compose,
};

/// Human timing moves a note by less than this.
const SLACK: u32 = TICKS_PER_BEAT / 8;

fn pieces() -> Vec<Piece> {
    (0..300).map(|index| compose(7, index, Split::Train)).collect()
}

fn part(piece: &Piece, role: Role) -> Option<&Part> {
    piece.parts.iter().find(|part| part.role == role)
}

fn chord_at(piece: &Piece, tick: u32) -> Option<&ChordSpan> {
    piece.chords.iter().find(|span| (span.start..span.end).contains(&tick))
}

/// The last bar line.
fn bars_end(piece: &Piece) -> u32 {
    piece.chords.last().map_or(0, |span| span.end)
}

fn notes_of<'a>(part: &'a Part, section: &Section) -> Vec<&'a Note> {
    let inside = |note: &&Note| (section.start..section.end).contains(&(note.start + SLACK));
    part.notes.iter().filter(inside).collect()
}

fn share(hits: usize, all: usize) -> f64 {
    hits as f64 / all.max(1) as f64
}

#[test]
fn chords_tile_the_bars_and_end_at_home() {
    for piece in pieces() {
        assert_eq!(piece.chords[0].start, 0);
        assert!(piece.chords.windows(2).all(|pair| pair[0].end == pair[1].start));
        let [.., before, last] = &piece.chords[..] else { panic!("too few chords") };
        assert_eq!(last.chord, Chord::tonic(last.key));
        assert_ne!(before.chord.root, last.chord.root, "{}: the end is led to", piece.index);
    }
}

#[test]
fn harmony_moves() {
    for piece in pieces() {
        let mut roots: Vec<u8> = piece.chords.iter().map(|span| span.chord.root).collect();
        roots.sort_unstable();
        roots.dedup();
        assert!(roots.len() >= 2, "{}: {roots:?}", piece.index);
        let longest = piece.chords.iter().map(|span| span.end - span.start).max().unwrap_or(0);
        assert!(longest <= piece.metre.bar_ticks(), "{}", piece.index);
    }
}

#[test]
fn tunes_have_chord_tones_on_strong_beats() {
    let (mut hits, mut all) = (0, 0);
    for piece in pieces() {
        let Some(tune) = part(&piece, Role::Melody) else { continue };
        for note in &tune.notes {
            let place = (note.start + SLACK) % piece.metre.bar_ticks();
            let Some(span) = chord_at(&piece, note.start + SLACK).filter(|_| place < 2 * SLACK) else {
                continue;
            };
            hits += usize::from(span.chord.contains(note.key));
            all += 1;
        }
    }
    assert!(share(hits, all) > 0.95, "{hits} of {all}");
}

#[test]
fn tunes_step_more_than_they_leap_and_breathe() {
    let (mut steps, mut moves, mut rests, mut bars) = (0, 0, 0, 0);
    for piece in pieces() {
        let Some(tune) = part(&piece, Role::Melody) else { continue };
        for pair in tune.notes.windows(2) {
            steps += usize::from(pair[0].key.abs_diff(pair[1].key) <= 4);
            moves += 1;
            rests += usize::from(pair[1].start.saturating_sub(pair[0].end()) >= TICKS_PER_BEAT / 2);
        }
        bars += (bars_end(&piece) / piece.metre.bar_ticks()) as usize;
    }
    assert!(share(steps, moves) > 0.75, "{steps} of {moves}");
    // A rest every eight bars at least.
    assert!(rests * 8 > bars, "{rests} rests in {bars} bars");
}

#[test]
fn outer_voices_seldom_move_in_parallel_in_classical_and_folk_pieces() {
    let (mut parallel, mut moves) = (0, 0);
    for piece in pieces() {
        if !["classical", "folk"].contains(&piece.style) {
            continue;
        }
        let (Some(tune), Some(bass)) = (part(&piece, Role::Melody), part(&piece, Role::Bass)) else {
            continue;
        };
        let sounding = |part: &Part, tick: u32| {
            part.notes.iter().find(|note| (note.start..note.end()).contains(&tick)).map(|note| note.key)
        };
        let ticks: Vec<u32> = piece.chords.iter().map(|span| span.start + 2 * SLACK).collect();
        for pair in ticks.windows(2) {
            let [low, high] = [bass, tune].map(|part| (sounding(part, pair[0]), sounding(part, pair[1])));
            let ((Some(a), Some(b)), (Some(c), Some(d))) = (low, high) else { continue };
            if a == b || c == d {
                continue;
            }
            moves += 1;
            let same_way = (b > a) == (d > c);
            let interval = c.abs_diff(a) % 12;
            parallel += usize::from(same_way && [0, 7].contains(&interval) && d.abs_diff(b) % 12 == interval);
        }
    }
    assert!(moves > 100);
    assert!(share(parallel, moves) < 0.06, "{parallel} of {moves}");
}

#[test]
fn basses_play_the_chord_s_bass_where_it_begins() {
    let (mut hits, mut all) = (0, 0);
    for piece in pieces() {
        let Some(bass) = part(&piece, Role::Bass) else { continue };
        for note in &bass.notes {
            let place = (note.start + SLACK) % piece.metre.bar_ticks();
            let Some(span) = chord_at(&piece, note.start + SLACK).filter(|_| place < 2 * SLACK) else {
                continue;
            };
            hits += usize::from(note.key % 12 == span.chord.bass);
            all += 1;
        }
    }
    assert!(share(hits, all) > 0.97, "{hits} of {all}");
}

#[test]
fn jazz_basses_walk() {
    let is_step = |pair: &&[Note]| (1..=2).contains(&pair[0].key.abs_diff(pair[1].key));
    let (mut steps, mut all) = (0, 0);
    for piece in pieces().iter().filter(|piece| piece.style == "jazz") {
        let Some(bass) = part(piece, Role::Bass) else { continue };
        steps += bass.notes.windows(2).filter(is_step).count();
        all += bass.notes.len().saturating_sub(1);
    }
    assert!(share(steps, all) > 0.35, "{steps} of {all}");
}

#[test]
fn choruses_are_louder_than_verses() {
    let (mut louder, mut all) = (0, 0);
    for piece in pieces() {
        let mean = |label: Label| {
            let sections = piece.sections.iter().filter(|section| section.label == label);
            let velocities: Vec<u32> = sections
                .flat_map(|section| piece.parts.iter().flat_map(move |part| notes_of(part, section)))
                .map(|note| u32::from(note.velocity))
                .collect();
            velocities.iter().sum::<u32>() / velocities.len().max(1) as u32
        };
        let (verse, chorus) = (mean(Label::Verse), mean(Label::Chorus));
        louder += usize::from(chorus > verse + 4);
        all += 1;
    }
    assert!(share(louder, all) > 0.9, "{louder} of {all}");
}

#[test]
fn some_pieces_modulate_and_all_are_mostly_at_home() {
    let pieces = pieces();
    let mut away = 0;
    for piece in &pieces {
        let home: u32 = piece
            .sections
            .iter()
            .filter(|section| section.key == piece.key)
            .map(|section| section.end - section.start)
            .sum();
        assert!(2 * home > piece.end(), "{}", piece.index);
        away += usize::from(piece.sections.iter().any(|section| section.key != piece.key));
    }
    assert!((0.04..0.25).contains(&share(away, pieces.len())), "{away}");
}

#[test]
fn blues_have_their_twelve_bars() {
    let pieces: Vec<Piece> = pieces().into_iter().filter(|piece| piece.style == "blues").collect();
    let subdominant_in_the_fifth_bar = |piece: &&Piece| {
        let verse = piece.sections.iter().find(|section| section.label == Label::Verse);
        let tick = verse.map_or(0, |section| section.start + 4 * piece.metre.bar_ticks());
        chord_at(piece, tick).is_some_and(|span| span.chord.root == (piece.key.tonic + 5) % 12)
    };
    let count = pieces.iter().filter(subdominant_in_the_fifth_bar).count();
    assert!(count * 2 > pieces.len(), "{count} of {}", pieces.len());
}

#[test]
fn drums_fill_before_choruses_and_hit_the_crash_there() {
    let (mut crashes, mut choruses) = (0, 0);
    for piece in pieces() {
        let Some(drums) = piece.parts.iter().find(|part| part.family == Family::Drums) else { continue };
        for section in
            piece.sections.iter().filter(|section| section.label == Label::Chorus && section.start > 0)
        {
            let is_crash = |note: &&Note| note.key == 49 && note.start.abs_diff(section.start) < SLACK;
            crashes += usize::from(drums.notes.iter().any(|note| is_crash(&note)));
            choruses += 1;
        }
    }
    assert_eq!(crashes, choruses);
}
