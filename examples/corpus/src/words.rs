//! Moods, captions of pieces and captions of sections.

mod facts;
mod synonyms;
mod templates;

use crate::family::{Family, Split};
use crate::piece::{Label, Part, Piece, Role, Section};
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::Mode;
use templates::Templates;

/// How often a mood is one of the style's own.
const STYLE_MOOD_SHARE: f64 = 0.3;

/// One word for the mood, from mode, tempo and loudness, or one of the style's.
pub(crate) fn mood(piece: &Piece, style: &Style, rng: &mut Rng) -> &'static str {
    if rng.chance(STYLE_MOOD_SHARE) {
        return rng.word(style.moods);
    }
    let arousal = arousal(piece, style);
    let list: &[&'static str] = match (piece.key.mode, arousal) {
        (Mode::Major, ..35) => &["calm", "peaceful", "warm", "tender"],
        (Mode::Major, 35..60) => &["bright", "happy", "hopeful", "cheerful"],
        (Mode::Major, _) => &["joyful", "lively", "playful", "triumphant"],
        (Mode::Minor, ..35) => &["sad", "melancholic", "dark", "mysterious"],
        (Mode::Minor, 35..60) => &["moody", "tense", "wistful", "serious"],
        (Mode::Minor, _) => &["dramatic", "urgent", "intense", "restless"],
    };
    rng.word(list)
}

/// How stirring a piece is, 0 to 100: tempo, notes per second and the style's loudness (our weights).
fn arousal(piece: &Piece, style: &Style) -> u32 {
    let notes: usize = piece.parts.iter().map(|part| part.notes.len()).sum();
    let density = (notes as f64 / piece.duration_secs() / 16.0).min(1.0);
    let tempo = (f64::from(piece.beats_per_minute()) - 60.0) / 120.0;
    (100.0 * (0.45 * tempo + 0.25 * density + 0.3 * style.loudness)) as u32
}

/// Writes the captions of the piece and of its sections.
pub(crate) fn describe(piece: &mut Piece, style: &Style, rng: &mut Rng) {
    let templates = Templates::of(piece.split);
    let captions = captions(piece, style, templates, rng);
    piece.captions = captions;
    for index in 0..piece.sections.len() {
        let caption = section_caption(piece, index, templates, rng);
        piece.sections[index].caption = caption;
    }
}

/// Six captions: three full ones, a short or list-like one, one that tells the form, and one another fact.
fn captions(piece: &Piece, style: &Style, templates: &Templates, rng: &mut Rng) -> Vec<String> {
    let full = match piece.parts.len() {
        1 => templates.solo,
        2 => templates.duo,
        _ => templates.full,
    };
    let mut order = tellable(full, piece);
    rng.shuffle(&mut order);
    let mut chosen: Vec<&'static str> = order.into_iter().take(3).collect();
    for list in [templates.list, templates.story, templates.fact] {
        chosen.push(rng.word(&tellable(list, piece)));
    }
    chosen.into_iter().map(|template| fill(template, piece, style, rng)).collect()
}

/// The templates that say nothing of a key where drums are alone.
fn tellable(templates: &[&'static str], piece: &Piece) -> Vec<&'static str> {
    let is_true =
        |template: &&&str| piece.has_key() || !(template.contains("{key}") || template.contains("{mode}"));
    templates.iter().filter(is_true).copied().collect()
}

/// Puts words into a template; every mention draws its own.
fn fill(template: &str, piece: &Piece, style: &Style, rng: &mut Rng) -> String {
    let key = if rng.chance(0.3) { spelt_key(piece) } else { piece.key.name() };
    let mut facts = facts::facts(piece, style, rng);
    rng.shuffle(&mut facts);
    let fact = |index: usize| facts.get(index).copied().unwrap_or_default().to_owned();
    let mut text = template.to_owned();
    for (mark, words) in [
        ("{instruments}", joined(&names(&piece.parts, rng))),
        ("{list}", names(&piece.parts, rng).join(", ")),
        ("{style}", rng.word(style.words).to_owned()),
        ("{mood}", synonyms::mood(piece.mood, piece.split, rng).to_owned()),
        ("{tempo}", synonyms::tempo(piece.beats_per_minute(), piece.split, rng).to_owned()),
        ("{pace}", pace(piece, rng)),
        ("{bpm}", piece.beats_per_minute().to_string()),
        ("{key}", key),
        ("{mode}", piece.key.mode_name().to_owned()),
        ("{form}", form(piece)),
        ("{count}", count(piece).to_owned()),
        ("{fact}", fact(0)),
        ("{other}", fact(1)),
        ("{story}", story(piece, rng)),
    ] {
        text = text.replace(mark, &words);
    }
    polish(&text)
}

/// A name for each part, the tune's first: mostly the instrument, else its family.
fn names(parts: &[Part], rng: &mut Rng) -> Vec<String> {
    let mut order: Vec<&Part> = parts.iter().collect();
    if rng.chance(0.3) {
        rng.shuffle(&mut order);
    }
    order.into_iter().map(|part| name(part, rng)).collect()
}

fn name(part: &Part, rng: &mut Rng) -> String {
    if rng.chance(0.5) { part.program.name.to_owned() } else { rng.word(part.family.words()).to_owned() }
}

fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn spelt_key(piece: &Piece) -> String {
    let tonic = piece.key.tonic_name().replace('b', " flat").replace('#', " sharp");
    format!("{tonic} {}", piece.key.mode_name())
}

fn pace(piece: &Piece, rng: &mut Rng) -> String {
    let bpm = piece.beats_per_minute();
    match rng.int(0, 6) {
        0 => format!("at {bpm} bpm"),
        1 => format!("at {bpm} BPM"),
        2 => format!("at {bpm} beats per minute"),
        3 => format!("around {} bpm", (bpm + 2) / 5 * 5),
        4 => format!("at roughly {} beats a minute", (bpm + 5) / 10 * 10),
        5 => format!("with a tempo of {bpm}"),
        _ => {
            format!(
                "at a {} tempo",
                synonyms::tempo(bpm, piece.split, rng).replace("-tempo", "").replace("mid", "medium")
            )
        }
    }
}

fn count(piece: &Piece) -> &'static str {
    match piece.sections.len() {
        ..=3 => "three",
        4 => "four",
        5 => "five",
        _ => "six",
    }
}

/// The sections' names, in order.
fn form(piece: &Piece) -> String {
    let labels: Vec<String> = piece.sections.iter().map(|section| section.label.name().to_owned()).collect();
    joined(&labels)
}

/// What happens, in a sentence: who begins, who joins, how it ends.
fn story(piece: &Piece, rng: &mut Rng) -> String {
    let Some(first) = piece.sections.first() else {
        return String::new();
    };
    let opening = joined(&names(&playing(piece, first), rng));
    let begins = rng.word(match piece.split {
        Split::Train => {
            &["It opens with", "It begins with", "It starts with", "First comes", "At first there is"]
        }
        Split::Heldout => &["You first hear", "It sets out with"],
    });
    let fullest = piece.sections.iter().find(|section| section.families.len() > first.families.len());
    let then = match fullest {
        Some(section) => {
            let new: Vec<Part> = playing(piece, section)
                .into_iter()
                .filter(|part| !first.families.contains(&part.family))
                .collect();
            let new_names = joined(&names(&new, rng));
            let verb = if new.len() == 1 && !new_names.ends_with('s') { "joins" } else { "join" };
            format!(", {new_names} {verb} in the {}", section.label.name())
        }
        None => String::new(),
    };
    let ending = match piece.sections.last() {
        Some(last) if last.label == Label::Outro => " and it fades down in an outro",
        Some(last) if last.label == Label::Chorus => " and it ends on a full chorus",
        _ => "",
    };
    format!("{begins} {opening}{then}{ending}.")
}

fn playing(piece: &Piece, section: &Section) -> Vec<Part> {
    piece.parts.iter().filter(|part| section.families.contains(&part.family)).cloned().collect()
}

fn section_caption(piece: &Piece, index: usize, templates: &Templates, rng: &mut Rng) -> String {
    let section = &piece.sections[index];
    let parts = playing(piece, section);
    let before = index.checked_sub(1).and_then(|before| piece.sections.get(before));
    let tune = parts.iter().find(|part| matches!(part.role, Role::Melody | Role::Solo));
    let text = rng
        .word(templates.section)
        .replace("{label}", section.label.name())
        .replace("{instruments}", &joined(&names(&parts, rng)))
        .replace("{energy}", synonyms::energy(section.energy, piece.split, rng))
        .replace("{mood}", synonyms::mood(piece.mood, piece.split, rng))
        .replace("{change}", change(before, section, rng))
        .replace("{way}", way(piece, index, rng))
        .replace(
            "{tune}",
            match tune {
                Some(_) => "a melody",
                None if parts.iter().all(|part| part.family == Family::Drums) => "a beat",
                None => "an accompaniment",
            },
        );
    polish(&text)
}

/// How a section differs from the one before: a few words, or none.
fn change(before: Option<&Section>, now: &Section, rng: &mut Rng) -> &'static str {
    let Some(before) = before else {
        return "";
    };
    let (old, new) = (before.families.len(), now.families.len());
    if new > old {
        rng.word(&[", fuller than before", ", building up", ", with more players", ", opening out"])
    } else if new < old {
        rng.word(&[", thinner than before", ", pulling back", ", with fewer players", ", stripped down"])
    } else if now.energy > before.energy + 0.15 {
        rng.word(&[", louder than before", ", picking up"])
    } else if now.energy + 0.15 < before.energy {
        rng.word(&[", softer than before", ", calming down"])
    } else {
        ""
    }
}

/// Where a section leads, or its key: a few words, or none.
fn way(piece: &Piece, index: usize, rng: &mut Rng) -> &'static str {
    let section = &piece.sections[index];
    let next = piece.sections.get(index + 1);
    if piece.has_key() && section.key != piece.key {
        return rng.word(&[", in a new key", ", away from the home key"]);
    }
    match next {
        Some(next) if next.label == Label::Chorus && next.energy > section.energy + 0.1 => rng.word(&[
            ", growing towards the chorus",
            ", rising into the chorus",
            ", leading up to the chorus",
        ]),
        None if section.label == Label::Outro => rng.word(&[", fading down", ", coming to rest"]),
        None => rng.word(&[", and then it ends", ", closing the piece"]),
        Some(_) => "",
    }
}

/// `a` before vowels becomes `an`; a sentence starts with a capital.
fn polish(text: &str) -> String {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    for index in 1..words.len() {
        // "808" is read "eight-oh-eight"; nothing here begins with a silent h or the sound of "you".
        let vowel = words[index].starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', '8']);
        let article = match words[index - 1].as_str() {
            "a" if vowel => "an",
            "A" if vowel => "An",
            _ => continue,
        };
        words[index - 1] = article.to_owned();
    }
    let text = words.join(" ");
    let mut out = String::with_capacity(text.len());
    let mut sentence_start = true;
    for c in text.chars() {
        if sentence_start && c.is_alphabetic() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        sentence_start = c == '.' || c == '!' || (sentence_start && c.is_whitespace());
    }
    out
}

/// The template set of a half (tests compare the two).
#[cfg(test)]
pub(crate) fn all_templates(split: Split) -> Vec<&'static str> {
    let set = Templates::of(split);
    [set.full, set.solo, set.duo, set.list, set.story, set.fact, set.section].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_share_no_template() {
        let train = all_templates(Split::Train);
        assert!(all_templates(Split::Heldout).iter().all(|template| !train.contains(template)));
    }

    #[test]
    fn polishing() {
        assert_eq!(polish("a upbeat tune.  it has a organ"), "An upbeat tune. It has an organ");
        assert_eq!(polish("a pop tune"), "A pop tune");
    }

    #[test]
    fn joining() {
        let names: Vec<String> = ["x", "y", "z"].map(str::to_owned).to_vec();
        assert_eq!(joined(&names), "x, y and z");
        assert_eq!(joined(&names[..1]), "x");
        assert_eq!(joined(&[]), "");
    }
}
