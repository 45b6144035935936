//! Words for moods, tempi and energies: some for training, others only for held-out pieces.

use crate::family::Split;
use crate::rng::Rng;

type Words = &'static [&'static str];

/// How often a held-out caption takes a word that no training caption has.
const UNSEEN_SHARE: f64 = 0.6;

/// A word of a meaning: in training one of the first list, in held-out pieces mostly one of the second.
fn pick(split: Split, seen: Words, unseen: Words, rng: &mut Rng) -> &'static str {
    let is_unseen = split == Split::Heldout && !unseen.is_empty() && rng.chance(UNSEEN_SHARE);
    rng.word(if is_unseen { unseen } else { seen })
}

/// A word for a mood, the mood itself among them.
pub(super) fn mood(mood: &'static str, split: Split, rng: &mut Rng) -> &'static str {
    let (seen, unseen) = mood_words(mood);
    let itself = split == Split::Train && rng.chance(0.35);
    if itself || seen.is_empty() { mood } else { pick(split, seen, unseen, rng) }
}

/// Words for a mood, and those kept for held-out pieces.
fn mood_words(mood: &str) -> (Words, Words) {
    match mood {
        "calm" => (&["calm", "serene", "gentle", "quiet", "soothing"], &["placid", "becalmed"]),
        "peaceful" => (&["peaceful", "tranquil", "restful", "still"], &["pastoral", "unruffled"]),
        "warm" => (&["warm", "tender-hearted", "mellow", "affectionate"], &["fireside", "kindly"]),
        "tender" => (&["tender", "delicate", "soft-hearted", "loving"], &["caring", "intimate"]),
        "bright" => (&["bright", "sunlit", "clear", "radiant", "shining"], &["luminous", "glowing"]),
        "happy" => (&["happy", "glad", "feel-good", "smiling", "cheery"], &["sunny", "delighted"]),
        "hopeful" => (&["hopeful", "optimistic", "uplifting", "promising"], &["encouraging", "heartening"]),
        "cheerful" => (&["cheerful", "merry", "good-humoured", "jolly"], &["chipper", "sprightly"]),
        "joyful" => (&["joyful", "jubilant", "exuberant", "elated"], &["overjoyed", "gleeful"]),
        "lively" => (&["lively", "bouncy", "spirited", "animated"], &["perky", "vivacious"]),
        "playful" => (&["playful", "whimsical", "light-hearted", "teasing"], &["frisky", "impish"]),
        "triumphant" => (&["triumphant", "victorious", "heroic", "proud"], &["conquering", "glorious"]),
        "sad" => (&["sad", "sorrowful", "mournful", "tearful", "unhappy"], &["heartbroken", "grieving"]),
        "melancholic" => (&["melancholic", "pensive", "melancholy", "bittersweet"], &["forlorn", "rueful"]),
        "dark" => (&["dark", "sombre", "gloomy", "shadowy", "bleak"], &["murky", "nocturnal"]),
        "mysterious" => (&["mysterious", "enigmatic", "eerie", "secretive"], &["uncanny", "cryptic"]),
        "moody" => (&["moody", "brooding", "introspective"], &["sulky", "broody"]),
        "tense" => (&["tense", "uneasy", "suspenseful", "edgy"], &["nervy", "strained"]),
        "wistful" => (&["wistful", "nostalgic", "longing", "yearning"], &["homesick", "reminiscent"]),
        "serious" => (&["serious", "earnest", "grave", "solemn"], &["sober", "weighty"]),
        "dramatic" => (&["dramatic", "theatrical", "stormy", "epic"], &["cinematic", "tempestuous"]),
        "urgent" => (&["urgent", "pressing", "driving", "insistent"], &["breathless", "racing"]),
        "intense" => (&["intense", "fierce", "forceful", "passionate"], &["ferocious", "burning"]),
        "restless" => (&["restless", "agitated", "anxious", "unsettled"], &["fidgety", "jittery"]),
        "catchy" => (&["catchy", "hummable", "instantly memorable"], &["earworm-like"]),
        "powerful" => (&["powerful", "mighty", "strong"], &["thundering", "muscular"]),
        "gritty" => (&["gritty", "rough", "raw"], &["grimy", "rugged"]),
        "sophisticated" => (&["sophisticated", "refined", "polished"], &["urbane", "suave"]),
        "smoky" => (&["smoky", "late-night", "after-hours"], &["dimly lit", "velvety"]),
        "elegant" => (&["elegant", "graceful", "refined"], &["poised", "courtly"]),
        "stately" => (&["stately", "dignified", "noble"], &["regal", "ceremonial"]),
        "energetic" => (&["energetic", "high-energy", "pumping"], &["turbocharged", "adrenaline-fuelled"]),
        "hypnotic" => (&["hypnotic", "trance-like", "mesmerising"], &["spellbinding", "entrancing"]),
        "heartfelt" => (&["heartfelt", "sincere", "touching"], &["moving", "genuine"]),
        "rustic" => (&["rustic", "earthy", "countryside"], &["homespun", "barn-dance"]),
        "sultry" => (&["sultry", "sensual", "seductive"], &["steamy", "alluring"]),
        "festive" => (&["festive", "celebratory", "party-like"], &["carnival", "jamboree"]),
        "dreamy" => (&["dreamy", "hazy", "dreamlike"], &["gauzy", "slumbering"]),
        "floating" => (&["floating", "weightless", "airy"], &["hovering", "gliding"]),
        "groovy" => (&["groovy", "grooving", "danceable"], &["hip-shaking", "foot-tapping"]),
        "strutting" => (&["strutting", "swaggering", "cool"], &["cocky", "sassy"]),
        "soulful" => (&["soulful", "deep-felt", "expressive"], &["gospel-tinged", "aching"]),
        "weary" => (&["weary", "tired", "worn-out"], &["world-weary", "bone-tired"]),
        "relaxed" => (&["relaxed", "chilled", "unwound"], &["carefree", "loungey"]),
        "cosy" => (&["cosy", "snug", "homely"], &["blanket-soft", "hygge"]),
        "laid-back" => (&["laid-back", "lazy", "unworried"], &["hammock-swinging", "breezy"]),
        "easygoing" => (&["easygoing", "carefree", "untroubled"], &["mellowed-out", "sunny-side"]),
        _ => (&[], &[]),
    }
}

/// A word for a tempo in beats per minute.
pub(super) fn tempo(bpm: u32, split: Split, rng: &mut Rng) -> &'static str {
    let (seen, unseen): (Words, Words) = match bpm {
        ..76 => (&["slow", "unhurried", "very slow", "slow-paced"], &["crawling", "sluggish"]),
        76..98 => (&["relaxed", "moderately slow", "easy-paced", "walking-pace"], &["ambling", "strolling"]),
        98..122 => {
            (&["mid-tempo", "moderate", "medium-tempo", "medium-paced"], &["average-tempo", "jog-along"])
        }
        122..148 => (&["fast", "upbeat", "brisk", "quick"], &["speedy", "nippy"]),
        _ => (&["very fast", "rapid", "high-speed", "racing"], &["breakneck", "galloping"]),
    };
    pick(split, seen, unseen, rng)
}

/// A word for an energy from 0 to 1.
pub(super) fn energy(energy: f64, split: Split, rng: &mut Rng) -> &'static str {
    let (seen, unseen): (Words, Words) = if energy < 0.4 {
        (&["quiet", "sparse", "soft", "subdued", "low-key"], &["hushed", "whispered"])
    } else if energy < 0.62 {
        (&["steady", "moderate", "balanced", "medium-intensity"], &["middling", "measured"])
    } else {
        (&["full", "energetic", "loud", "big", "high-energy"], &["roaring", "wide-open"])
    };
    pick(split, seen, unseen, rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::STYLES;

    #[test]
    fn held_out_words_never_meet_training() {
        let moods = STYLES.iter().flat_map(|style| style.moods);
        for mood in moods.chain(&["sad", "happy", "lively", "moody", "dramatic", "calm"]) {
            let (seen, unseen) = mood_words(mood);
            assert!(seen.contains(mood), "{mood}");
            assert!(!unseen.is_empty() && unseen.iter().all(|word| !seen.contains(word)), "{mood}");
        }
        let rng = &mut Rng::for_piece(1, 1, crate::rng::Purpose::Words);
        let words: Vec<&str> = (0..200).map(|_| mood("sad", Split::Train, rng)).collect();
        assert!(!words.contains(&"heartbroken") && words.contains(&"mournful"));
        assert!((0..200).any(|_| mood("sad", Split::Heldout, rng) == "heartbroken"));
    }
}
