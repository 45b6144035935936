//! Who plays, and in which sections.

use super::form::PlannedSection;
use crate::family::{Family, Program, Split};
use crate::piece::{Label, Role};
use crate::rng::Rng;
use crate::style::Style;

/// One instrument of the piece.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) role: Role,
    pub(crate) family: Family,
    pub(crate) program: &'static Program,
}

/// Share of pieces for one instrument, and for two.
const SOLO_SHARE: f64 = 0.15;
const DUO_SHARE: f64 = 0.15;
/// Share of held-out pieces that use programs no training piece has.
const NOVEL_SHARE: f64 = 1.0 / 3.0;
/// How often a family comes from the role's whole list instead of the style's.
const SURPRISE_SHARE: f64 = 0.2;
/// How often a style's preferred programs are chosen over the family's others.
const PREFERENCE: f64 = 0.6;
/// Programs that reach down to this key can play chords below a tune.
const LOW_ENOUGH: u8 = 55;

const MELODIC: &[Family] = &[
    Family::Piano,
    Family::Organ,
    Family::Guitar,
    Family::Strings,
    Family::Brass,
    Family::Woodwind,
    Family::Lead,
    Family::Mallets,
    Family::Choir,
];
const CHORDAL: &[Family] =
    &[Family::Piano, Family::Organ, Family::Guitar, Family::Mallets, Family::Pad, Family::Strings];

/// Draws the players: the soloist where there is to be one, else one (any pitched family), two, or three to five.
pub(crate) fn players(
    style: &'static Style,
    split: Split,
    soloist: Option<Family>,
    rng: &mut Rng,
) -> Vec<Player> {
    let cast = match soloist {
        Some(Family::Drums) => vec![(Role::Drums, Family::Drums)],
        Some(family) => vec![(Role::Solo, family)],
        None => cast(style, rng),
    };
    let novel = split == Split::Heldout && rng.chance(NOVEL_SHARE);
    // At least one part of such a piece is new, the others often.
    let surely_novel = rng.int(0, cast.len().saturating_sub(1));
    cast.into_iter()
        .enumerate()
        .map(|(index, (role, family))| {
            let held_out = novel && (index == surely_novel || rng.chance(0.5));
            Player { role, family, program: program(style, role, family, held_out, rng) }
        })
        .collect()
}

type Cast = Vec<(Role, Family)>;

fn cast(style: &Style, rng: &mut Rng) -> Cast {
    let size = rng.unit();
    if size < SOLO_SHARE {
        let pitched = &Family::ALL[..Family::ALL.len() - 1];
        vec![(Role::Solo, rng.pick(pitched).copied().unwrap_or(Family::Piano))]
    } else if size < SOLO_SHARE + DUO_SHARE {
        duo(style, rng)
    } else {
        ensemble(style, rng)
    }
}

fn duo(style: &Style, rng: &mut Rng) -> Cast {
    let mut cast = Cast::new();
    match rng.weighted(&[0.7, 0.15, 0.15]) {
        0 => {
            add(&mut cast, Role::Melody, style.melody, MELODIC, rng);
            add(&mut cast, Role::Chords, style.chords, CHORDAL, rng);
        }
        1 => {
            add(&mut cast, Role::Melody, style.melody, MELODIC, rng);
            cast.push((Role::Bass, Family::Bass));
        }
        _ if style.grooves.is_empty() => {
            add(&mut cast, Role::Melody, style.melody, MELODIC, rng);
            add(&mut cast, Role::Counter, style.melody, MELODIC, rng);
        }
        _ => {
            add(&mut cast, Role::Chords, style.chords, CHORDAL, rng);
            cast.push((Role::Drums, Family::Drums));
        }
    }
    cast
}

fn ensemble(style: &Style, rng: &mut Rng) -> Cast {
    let size = 3 + rng.weighted(&[0.3, 0.45, 0.25]);
    let mut cast = Cast::new();
    add(&mut cast, Role::Melody, style.melody, MELODIC, rng);
    add(&mut cast, Role::Chords, style.chords, CHORDAL, rng);
    if rng.chance(style.bass_share) {
        cast.push((Role::Bass, Family::Bass));
    }
    if cast.len() < size && rng.chance(style.drums_share) {
        cast.push((Role::Drums, Family::Drums));
    }
    while cast.len() < size {
        let (role, all) = match rng.weighted(&[0.4, 0.3, 0.3]) {
            0 => {
                (Role::Pad, &[Family::Pad, Family::Strings, Family::Choir, Family::Organ, Family::Brass][..])
            }
            1 => (Role::Arpeggio, &[Family::Mallets, Family::Guitar, Family::Piano, Family::Lead][..]),
            _ => (Role::Counter, MELODIC),
        };
        let style_list: Vec<Family> =
            style.colour.iter().copied().filter(|family| all.contains(family)).collect();
        add(&mut cast, role, &style_list, all, rng);
    }
    cast
}

/// Adds a player of a family that is not there yet, from the style's list or, now and then, from `all`.
fn add(cast: &mut Cast, role: Role, preferred: &[Family], all: &[Family], rng: &mut Rng) {
    let free = |list: &[Family]| -> Vec<Family> {
        list.iter().copied().filter(|family| cast.iter().all(|(_, used)| used != family)).collect()
    };
    let surprise = rng.chance(SURPRISE_SHARE);
    let first = free(if surprise { all } else { preferred });
    let list = if first.is_empty() { free(all) } else { first };
    if let Some(family) = rng.pick(&list) {
        cast.push((role, *family));
    }
}

/// A program of the family that can play the role.
fn program(style: &Style, role: Role, family: Family, held_out: bool, rng: &mut Rng) -> &'static Program {
    let programs = family.programs();
    let needs_chords = matches!(role, Role::Chords | Role::Pad);
    let fits = |program: &&Program| !needs_chords || program.poly;
    let all: Vec<&Program> = programs.iter().filter(|p| p.held_out == held_out).filter(fits).collect();
    // Chords on a glockenspiel would cover the tune: lower programs accompany where the family has any.
    let low: Vec<&Program> = all.iter().copied().filter(|p| p.low <= LOW_ENOUGH).collect();
    let pool = if role == Role::Chords && !low.is_empty() { low } else { all };
    let liked = style.programs.iter().find(|(of, _)| *of == family).map_or(&[][..], |(_, numbers)| numbers);
    let preferred: Vec<&Program> = pool.iter().copied().filter(|p| liked.contains(&p.number)).collect();
    let choice = if !preferred.is_empty() && rng.chance(PREFERENCE) { &preferred } else { &pool };
    rng.pick(choice).copied().unwrap_or(&programs[0])
}

/// How a piece opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Chords and what colours them.
    Chords,
    /// Bass and drums, with or without chords.
    Rhythm,
    /// The tune over chords.
    Hook,
}

/// How it ends, when it has an outro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The tune over soft chords.
    Soft,
    /// Chords and what colours them.
    Thin,
    /// Everyone.
    Full,
}

/// Decides for every section who plays: few in intro and outro, more in a second verse, all in choruses.
pub(crate) fn activate(sections: &mut [PlannedSection], players: &[Player], style: &Style, rng: &mut Rng) {
    let opening = [Opening::Chords, Opening::Rhythm, Opening::Hook][rng.weighted(&[0.45, 0.35, 0.2])];
    let ending = [Ending::Soft, Ending::Thin, Ending::Full][rng.weighted(&[0.3, 0.4, 0.3])];
    for section in sections {
        let share = |role| match section.label {
            Label::Intro => opening_share(opening, role),
            Label::Verse => verse_share(role, section.turn > 0),
            Label::Chorus => 1.0,
            Label::Bridge => bridge_share(role),
            Label::Outro => ending_share(ending, role),
        };
        let mut active: Vec<bool> =
            players.iter().map(|player| players.len() == 1 || rng.chance(share(player.role))).collect();
        if !active.contains(&true) || only_rhythm(&active, players) {
            wake_one(&mut active, players, rng);
        }
        section.active = active;
        if section.label == Label::Outro && ending == Ending::Full {
            section.energy += 0.25;
        }
        // A quiet style stays quiet in its choruses.
        section.energy *= 0.76 + 0.3 * style.loudness;
    }
}

fn opening_share(opening: Opening, role: Role) -> f64 {
    match (opening, role) {
        (Opening::Chords | Opening::Hook, Role::Chords) => 0.9,
        (Opening::Chords, Role::Pad | Role::Arpeggio) => 0.6,
        (Opening::Rhythm, Role::Bass | Role::Drums) => 0.95,
        (Opening::Rhythm, Role::Chords) => 0.5,
        (Opening::Hook, Role::Melody) => 1.0,
        (Opening::Hook, Role::Bass) => 0.5,
        _ => 0.08,
    }
}

fn verse_share(role: Role, again: bool) -> f64 {
    let first = match role {
        Role::Melody | Role::Solo => 1.0,
        Role::Chords => 0.95,
        Role::Bass => 0.85,
        Role::Drums => 0.7,
        Role::Pad | Role::Arpeggio => 0.3,
        Role::Counter => 0.12,
    };
    first + if again { 0.35 } else { 0.0 }
}

fn bridge_share(role: Role) -> f64 {
    match role {
        Role::Melody => 0.55,
        Role::Chords => 0.8,
        Role::Pad | Role::Counter => 0.9,
        Role::Arpeggio => 0.7,
        Role::Bass => 0.6,
        Role::Drums => 0.45,
        Role::Solo => 1.0,
    }
}

fn ending_share(ending: Ending, role: Role) -> f64 {
    match (ending, role) {
        (Ending::Full, _) => 0.92,
        (_, Role::Chords) => 0.9,
        (Ending::Soft, Role::Melody) => 1.0,
        (Ending::Soft, Role::Bass) => 0.5,
        (Ending::Thin, Role::Pad | Role::Arpeggio) => 0.6,
        _ => 0.12,
    }
}

/// Whether all that sound are bass or drums, though others could.
fn only_rhythm(active: &[bool], players: &[Player]) -> bool {
    players.iter().zip(active).all(|(player, on)| !on || matches!(player.role, Role::Bass | Role::Drums))
}

fn wake_one(active: &mut [bool], players: &[Player], rng: &mut Rng) {
    let pitched: Vec<usize> = players
        .iter()
        .enumerate()
        .filter(|(_, player)| !matches!(player.role, Role::Bass | Role::Drums))
        .map(|(index, _)| index)
        .collect();
    if let Some(on) = rng.pick(&pitched).and_then(|index| active.get_mut(*index)) {
        *on = true;
    }
}
