//! The styles: their tempi, harmony, patterns and instruments.
//!
//! Patterns are strings of one character per sixteenth note, one bar of 4/4 long (a bar of 3/4 uses the first
//! twelve). All of them are our own choices, kept simple enough for a small codec to learn.

use crate::family::Family::{self, *};

/// How a chordal part plays the chords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comp {
    /// Held for as long as the chord lasts.
    Hold,
    /// `x`: struck and held until the next stroke; `s`: struck short; `.`: nothing new.
    Hits(&'static str),
    /// As `Hits`, the notes rolled upward by some milliseconds.
    Strum(&'static str),
    /// Chord tones up and down, one per so many sixteenths.
    Arpeggio(u32),
    /// Low, high, middle, high in eighths.
    Alberti,
    /// Root on the strong beats, higher tones between them.
    Pick,
}

/// How the bass moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BassLine {
    /// `r` root, `t` third, `f` fifth, `o` octave, `a` approach to the next root, `-` hold, `.` rest.
    Pattern(&'static str),
    /// One note a beat: root, chord tones, an approach tone before each change.
    Walking,
}

/// One drum of a groove: its General MIDI key and its strokes (`X` accent, `x` normal, `o` soft).
pub(crate) type DrumLine = (u8, &'static str);

/// A drum pattern in a quiet and a full form.
#[derive(Debug)]
pub(crate) struct Groove {
    /// For verses.
    pub(crate) light: &'static [DrumLine],
    /// For choruses.
    pub(crate) full: &'static [DrumLine],
}

/// Everything that makes a style.
#[derive(Debug)]
pub struct Style {
    /// The manifest's tag.
    pub name: &'static str,
    /// Other words captions use for it.
    pub words: &'static [&'static str],
    /// Slowest and fastest tempo, beats per minute.
    pub tempo_bpm: (u32, u32),
    pub(crate) minor_share: f64,
    pub(crate) waltz_share: f64,
    /// Where the second eighth of a beat falls: 0.5 is straight, 0.667 a full triplet swing.
    pub(crate) swing: f64,
    pub(crate) drums_share: f64,
    pub(crate) bass_share: f64,
    /// Whether its melodies leave out the fourth and seventh (major) or second and sixth (minor).
    pub(crate) pentatonic: bool,
    /// How busy its melodies are, 0 to 1.
    pub(crate) density: f64,
    /// Progressions in major: bars parted by `|`, chords of a bar by spaces.
    pub(crate) major: &'static [&'static str],
    pub(crate) minor: &'static [&'static str],
    /// The last two chords before the end, in major and minor: the first of them leads to the tonic.
    pub(crate) cadence: (&'static str, &'static str),
    pub(crate) melody: &'static [Family],
    pub(crate) chords: &'static [Family],
    pub(crate) colour: &'static [Family],
    /// Programs it prefers.
    pub(crate) programs: &'static [(Family, &'static [u8])],
    pub(crate) comps: &'static [Comp],
    pub(crate) basses: &'static [BassLine],
    pub(crate) grooves: &'static [Groove],
    /// Moods of its own, beside those of mode and tempo.
    pub(crate) moods: &'static [&'static str],
}

use BassLine::{Pattern, Walking};
use Comp::{Alberti, Arpeggio, Hits, Hold, Pick, Strum};

/// Chordal figures for bars of 3/4.
pub(crate) const WALTZ_COMPS: &[Comp] = &[Hits("....s...s..."), Arpeggio(2), Hold, Hits("x...s...s...")];
/// Bass lines for bars of 3/4.
pub(crate) const WALTZ_BASSES: &[BassLine] = &[Pattern("r-------f---"), Pattern("r-----------")];
/// The groove for bars of 3/4.
pub(crate) const WALTZ_GROOVE: Groove = Groove {
    light: &[(42, "x...o...o..."), (36, "x...........")],
    full: &[(42, "x.o.x.o.x.o."), (36, "X..........."), (38, "....o...o...")],
};

const POP: Style = Style {
    name: "pop",
    words: &["pop", "poppy", "radio pop"],
    tempo_bpm: (84, 132),
    minor_share: 0.4,
    waltz_share: 0.0,
    swing: 0.5,
    drums_share: 0.9,
    bass_share: 0.9,
    pentatonic: true,
    density: 0.6,
    major: &["I | V | vi | IV", "vi | IV | I | V", "I | vi | IV | V", "IV | V | iii | vi", "ii | V | I | I"],
    minor: &["i | bVI | bIII | bVII", "i | iv | bVI | V", "bVI | bVII | i | i", "i | bVII | bVI | bVII"],
    cadence: ("V", "V"),
    melody: &[Piano, Guitar, Lead, Woodwind, Mallets, Strings, Choir],
    chords: &[Piano, Guitar, Organ, Pad],
    colour: &[Strings, Pad, Choir, Mallets, Brass],
    programs: &[(Piano, &[0, 1, 4]), (Guitar, &[25, 27]), (Bass, &[33, 38]), (Drums, &[0, 8])],
    comps: &[
        Hits("x.......x......."),
        Hits("x...x...x...x..."),
        Strum("x...x.x..xx.x.x."),
        Arpeggio(2),
        Hits("x.....x...x....."),
    ],
    basses: &[Pattern("r-----r-r---r-a-"), Pattern("r-------r-------"), Pattern("r-r-r-r-r-r-r-r-")],
    grooves: &[
        Groove {
            light: &[(42, "x...x...x...x..."), (36, "x.......x......."), (37, "....x.......x...")],
            full: &[(42, "x.o.x.o.x.o.x.o."), (36, "X.....x.x......."), (38, "....X.......X...")],
        },
        Groove {
            light: &[(42, "x.o.x.o.x.o.x.o."), (36, "x.........x.....")],
            full: &[(42, "x.x.x.x.x.x.x.x."), (36, "X.....x...x....."), (38, "....X.......X.o.")],
        },
    ],
    moods: &["catchy"],
};

const ROCK: Style = Style {
    name: "rock",
    words: &["rock", "classic rock", "hard-hitting rock"],
    tempo_bpm: (104, 176),
    minor_share: 0.5,
    waltz_share: 0.0,
    swing: 0.5,
    drums_share: 1.0,
    bass_share: 1.0,
    pentatonic: true,
    density: 0.65,
    major: &["I | IV | V | IV", "I | bVII | IV | I", "I | V | IV | IV", "vi | IV | I | V"],
    minor: &["i | bVII | bVI | bVII", "i | bIII | bVII | iv", "i | i | bVI | bVII", "bVI | bVII | i | i"],
    cadence: ("IV V", "bVI bVII"),
    melody: &[Guitar, Organ, Lead, Brass, Strings],
    chords: &[Guitar, Organ, Piano],
    colour: &[Strings, Choir, Organ, Brass],
    programs: &[(Guitar, &[29, 27]), (Organ, &[16]), (Bass, &[33]), (Drums, &[0, 8])],
    comps: &[
        Hits("x...x...x...x..."),
        Hits("x.x.x.x.x.x.x.x."),
        Strum("x...x.x.x...x.x."),
        Hits("x.....x.x......."),
        Hold,
    ],
    basses: &[Pattern("r-r-r-r-r-r-r-r-"), Pattern("r---r-r-r---r-a-"), Pattern("r-----r-r-----f-")],
    grooves: &[
        Groove {
            light: &[(42, "x.x.x.x.x.x.x.x."), (36, "x.......x......."), (38, "....x.......x...")],
            full: &[(51, "x.x.x.x.x.x.x.x."), (36, "X.....x.X.x....."), (38, "....X.......X...")],
        },
        Groove {
            light: &[(42, "x...x...x...x..."), (36, "x.....x.x......."), (38, "....x.......x...")],
            full: &[(46, "x...x...x...x..."), (36, "X...x...X.x.x..."), (38, "....X.......X...")],
        },
    ],
    moods: &["powerful", "gritty"],
};

const JAZZ: Style = Style {
    name: "jazz",
    words: &["jazz", "swing jazz", "jazzy", "straight-ahead jazz"],
    tempo_bpm: (88, 180),
    minor_share: 0.4,
    waltz_share: 0.15,
    swing: 0.63,
    drums_share: 0.75,
    bass_share: 0.95,
    pentatonic: false,
    density: 0.7,
    major: &[
        "ii7 | V7 | Imaj7 | VI7",
        "Imaj7 vi7 | ii7 V7 | Imaj7 vi7 | ii7 V7",
        "Imaj7 | VI7 | ii7 | V7",
        "ii7 V7 | Imaj7 | iii7 VI7 | ii7 V7",
    ],
    minor: &["iim7b5 | V7 | i7 | i7", "i7 | iv7 | iim7b5 | V7", "i7 | bVImaj7 | iim7b5 | V7"],
    cadence: ("ii7 V7", "iim7b5 V7"),
    melody: &[Woodwind, Brass, Piano, Guitar, Mallets],
    chords: &[Piano, Guitar, Mallets, Organ],
    colour: &[Brass, Mallets, Woodwind, Strings],
    programs: &[
        (Piano, &[0]),
        (Guitar, &[27]),
        (Mallets, &[11]),
        (Woodwind, &[65, 66, 71]),
        (Brass, &[56, 57]),
        (Bass, &[32]),
        (Drums, &[32]),
        (Organ, &[16, 17]),
    ],
    comps: &[
        Hits("x.....s........."),
        Hits("......s.......s."),
        Hits("s.....s.....s..."),
        Hits("x.............s."),
        Hold,
    ],
    basses: &[Walking, Walking, Pattern("r-------f-------")],
    grooves: &[
        Groove {
            light: &[(51, "x...x.o.x...x.o."), (44, "....x.......x...")],
            full: &[
                (51, "x...x.x.x...x.x."),
                (44, "....x.......x..."),
                (36, "o.......o.....o."),
                (38, "......o........."),
            ],
        },
        Groove {
            light: &[(51, "x...x...x...x..."), (44, "....x.......x...")],
            full: &[
                (51, "x...x.x.x...x.x."),
                (44, "....x.......x..."),
                (38, "..........o...o."),
                (36, "x..............."),
            ],
        },
    ],
    moods: &["sophisticated", "smoky"],
};

const CLASSICAL: Style = Style {
    name: "classical",
    words: &["classical", "classical-style", "chamber"],
    tempo_bpm: (60, 152),
    minor_share: 0.5,
    waltz_share: 0.35,
    swing: 0.5,
    drums_share: 0.0,
    bass_share: 0.0,
    pentatonic: false,
    density: 0.6,
    major: &[
        "I | IV | V7 | I",
        "I | vi | ii | V7",
        "I V | vi iii | IV I | ii V7",
        "I | V7 | V7 | I",
        "vi | ii | V7 | I",
    ],
    minor: &["i | iv | V7 | i", "i | bVI | iv | V7", "i | V7 | V7 | i", "i bVII | bIII | iv | V7"],
    cadence: ("IV V7", "iv V7"),
    melody: &[Strings, Woodwind, Piano, Brass, Choir, Organ],
    chords: &[Piano, Strings, Organ, Guitar, Choir],
    colour: &[Strings, Brass, Choir, Woodwind, Mallets],
    programs: &[
        (Piano, &[0, 1]),
        (Organ, &[19]),
        (Guitar, &[24]),
        (Woodwind, &[68, 71, 73, 74]),
        (Mallets, &[8]),
    ],
    comps: &[Alberti, Hold, Arpeggio(2), Hits("x...x...x...x..."), Hits("x.......x.......")],
    basses: &[Pattern("r-------f-------")],
    grooves: &[],
    moods: &["elegant", "stately"],
};

const ELECTRONIC: Style = Style {
    name: "electronic",
    words: &["electronic", "electronic dance", "techno", "club"],
    tempo_bpm: (112, 150),
    minor_share: 0.7,
    waltz_share: 0.0,
    swing: 0.5,
    drums_share: 1.0,
    bass_share: 0.9,
    pentatonic: true,
    density: 0.65,
    major: &["I | V | vi | IV", "IV | V | vi | I", "vi | IV | I | V"],
    minor: &["i | bVI | bIII | bVII", "i | i | bVI | bVII", "iv | i | bVI | bVII", "i | bVII | iv | bVI"],
    cadence: ("IV V", "bVI bVII"),
    melody: &[Lead, Lead, Mallets, Piano, Choir],
    chords: &[Pad, Piano, Organ, Lead],
    colour: &[Pad, Strings, Choir, Mallets],
    programs: &[(Piano, &[1, 5]), (Bass, &[38]), (Drums, &[24, 25]), (Strings, &[50]), (Organ, &[17])],
    comps: &[Hits("..s...s...s...s."), Hits("x..x..x.x..x..x."), Hold, Arpeggio(2), Hits("s..s..s.s..s..s.")],
    basses: &[
        Pattern("..r-..r-..r-..r-"),
        Pattern("r-r-r-r-r-r-r-r-"),
        Pattern("r..r..r.r..r..o."),
        Pattern("r-------r-----o-"),
    ],
    grooves: &[
        Groove {
            light: &[(36, "x...x...x...x..."), (42, "..x...x...x...x.")],
            full: &[(36, "X...X...X...X..."), (46, "..x...x...x...x."), (39, "....x.......x...")],
        },
        Groove {
            light: &[(36, "x.....x...x....."), (42, "x.x.x.x.x.x.x.x.")],
            full: &[(36, "X...X...X...X..."), (42, "x.x.x.x.x.x.x.x."), (38, "....X.......X...")],
        },
    ],
    moods: &["energetic", "hypnotic"],
};

const FOLK: Style = Style {
    name: "folk",
    words: &["folk", "folk-style", "folky", "traditional-sounding"],
    tempo_bpm: (72, 136),
    minor_share: 0.35,
    waltz_share: 0.35,
    swing: 0.5,
    drums_share: 0.3,
    bass_share: 0.6,
    pentatonic: true,
    density: 0.6,
    major: &["I | IV | I | V", "I | V | IV | I", "I | vi | IV | V", "I | I | IV | V"],
    minor: &["i | bVII | i | bVII", "i | bIII | bVII | i", "i | iv | bVII | i", "i | bVII | bVI | V"],
    cadence: ("IV V", "bVII"),
    melody: &[Guitar, Woodwind, Strings, Mallets, Choir],
    chords: &[Guitar, Guitar, Piano, Organ],
    colour: &[Strings, Choir, Mallets, Woodwind],
    programs: &[
        (Guitar, &[24, 25]),
        (Woodwind, &[73, 74, 71]),
        (Strings, &[40, 42]),
        (Bass, &[32]),
        (Drums, &[0]),
        (Piano, &[0]),
    ],
    comps: &[Pick, Strum("x...x.x...x.x.x."), Strum("x...x...x...x.x."), Arpeggio(2)],
    basses: &[Pattern("r-------f-------"), Pattern("r-----r-f-------")],
    grooves: &[Groove {
        light: &[(54, "....x.......x..."), (36, "x.......x.......")],
        full: &[(54, "..x.x.x...x.x.x."), (36, "x.......x......."), (38, "....o.......o...")],
    }],
    moods: &["heartfelt", "rustic"],
};

const LATIN: Style = Style {
    name: "latin",
    words: &["latin", "latin-style", "latin dance", "latin-flavoured"],
    tempo_bpm: (92, 148),
    minor_share: 0.6,
    waltz_share: 0.0,
    swing: 0.5,
    drums_share: 0.9,
    bass_share: 0.95,
    pentatonic: false,
    density: 0.65,
    major: &["Imaj7 | II7 | ii7 | V7", "I | IV | V7 | IV", "Imaj7 | vi7 | ii7 | V7"],
    minor: &["i | iv | V7 | i", "i | bVII | bVI | V7", "i7 | iv7 | bVII7 | bIIImaj7", "i | i | V7 | V7"],
    cadence: ("V7", "V7"),
    melody: &[Brass, Woodwind, Piano, Guitar, Mallets],
    chords: &[Piano, Guitar, Organ, Mallets],
    colour: &[Brass, Strings, Woodwind, Mallets],
    programs: &[
        (Piano, &[0, 1]),
        (Guitar, &[24]),
        (Brass, &[56, 57, 61]),
        (Woodwind, &[73, 65]),
        (Mallets, &[12, 11]),
        (Bass, &[32, 33]),
        (Drums, &[0, 8]),
    ],
    comps: &[Hits("x..x..x...x.x..."), Hits("s..s...s..s.s..."), Arpeggio(2), Strum("x..x..x..x..x.x.")],
    basses: &[Pattern("r-----f-----f---"), Pattern("......f-----r---"), Pattern("r-----f-o---f---")],
    grooves: &[
        Groove {
            light: &[(70, "x.o.x.o.x.o.x.o."), (75, "x..x..x...x.x...")],
            full: &[
                (70, "x.x.x.x.x.x.x.x."),
                (75, "x..x..x...x.x..."),
                (36, "x.....x.x.....x."),
                (64, "......x.......xx"),
            ],
        },
        Groove {
            light: &[(42, "x.x.x.x.x.x.x.x."), (37, "x..x..x...x..x..")],
            full: &[
                (56, "x...x...x...x..."),
                (37, "x..x..x...x..x.."),
                (36, "x.....x.x.....x."),
                (63, "....o.......o.x."),
            ],
        },
    ],
    moods: &["sultry", "festive"],
};

const AMBIENT: Style = Style {
    name: "ambient",
    words: &["ambient", "ambient-style", "atmospheric", "drifting ambient"],
    tempo_bpm: (60, 86),
    minor_share: 0.5,
    waltz_share: 0.0,
    swing: 0.5,
    drums_share: 0.05,
    bass_share: 0.3,
    pentatonic: true,
    density: 0.25,
    major: &["Imaj7 | IVmaj7 | Imaj7 | IVmaj7", "I | iii | IV | vi", "Iadd9 | vi7 | IVadd9 | I"],
    minor: &["i | bVI | i | bVI", "i7 | bIIImaj7 | bVImaj7 | i7", "i | bVII | bVI | i"],
    cadence: ("IV", "iv"),
    melody: &[Mallets, Piano, Choir, Woodwind, Lead, Guitar],
    chords: &[Pad, Pad, Strings, Piano, Guitar],
    colour: &[Pad, Choir, Strings, Mallets],
    programs: &[
        (Piano, &[0, 4]),
        (Pad, &[89, 94, 95]),
        (Strings, &[49]),
        (Mallets, &[8, 11]),
        (Bass, &[35, 38]),
        (Drums, &[24]),
    ],
    comps: &[Hold, Hold, Arpeggio(4), Hits("x.......x.......")],
    basses: &[Pattern("r---------------")],
    grooves: &[Groove {
        light: &[(42, "....o.......o...")],
        full: &[(36, "x.........o....."), (42, "....x.......x...")],
    }],
    moods: &["dreamy", "floating"],
};

const FUNK: Style = Style {
    name: "funk",
    words: &["funk", "funky", "funk-style", "seventies funk"],
    tempo_bpm: (88, 124),
    minor_share: 0.6,
    waltz_share: 0.0,
    swing: 0.53,
    drums_share: 1.0,
    bass_share: 1.0,
    pentatonic: true,
    density: 0.6,
    major: &["I7 | I7 | IV7 | I7", "I7 | IV7 | I7 | V7", "I7 | bVII | IV7 | I7"],
    minor: &["i7 | IV7 | i7 | IV7", "i7 | i7 | iv7 | i7", "i7 | bVII | iv7 | V7"],
    cadence: ("V7", "V7"),
    melody: &[Brass, Woodwind, Guitar, Organ, Lead],
    chords: &[Guitar, Piano, Organ],
    colour: &[Brass, Organ, Strings],
    programs: &[
        (Piano, &[4, 5]),
        (Guitar, &[27]),
        (Organ, &[16, 17]),
        (Brass, &[61, 56]),
        (Woodwind, &[65, 66]),
        (Bass, &[33]),
        (Drums, &[0, 8]),
    ],
    comps: &[
        Hits("..s...s..ss...s."),
        Hits("s..s..s...s..s.."),
        Hits("s...s.s...s.s..."),
        Hits("x..s..s.x..s..s."),
    ],
    basses: &[Pattern("r-.r..o.r-.f..a-"), Pattern("r-..r-o...r.f-a-"), Pattern("r.r...f-..o.r.a-")],
    grooves: &[
        Groove {
            light: &[(42, "x.o.x.o.x.o.x.o."), (36, "x.....x........."), (38, "....x.......x...")],
            full: &[(42, "xoxoxoxoxoxoxoxo"), (36, "X..x..x...x....."), (38, "....X..o.o..X...")],
        },
        Groove {
            light: &[(42, "x.x.x.x.x.x.x.x."), (36, "x.......x.x....."), (38, "....x.......x...")],
            full: &[(42, "x.x.x.x.x.x.x.x."), (36, "X.x.......x..x.."), (38, "....X..o.o..X..o")],
        },
    ],
    moods: &["groovy", "strutting"],
};

const BLUES: Style = Style {
    name: "blues",
    words: &["blues", "bluesy", "blues-style", "down-home blues"],
    tempo_bpm: (64, 128),
    minor_share: 0.4,
    waltz_share: 0.0,
    swing: 0.65,
    drums_share: 0.8,
    bass_share: 0.9,
    pentatonic: true,
    density: 0.6,
    major: &[
        "I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
        "I7 | IV7 | I7 | V7",
        "I7 | I7 | IV7 | I7",
    ],
    minor: &["i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI7 | V7 | i7 | V7", "i7 | iv7 | i7 | V7"],
    cadence: ("V7 IV7", "V7"),
    melody: &[Guitar, Woodwind, Piano, Brass, Organ],
    chords: &[Piano, Guitar, Organ],
    colour: &[Brass, Organ, Woodwind],
    programs: &[
        (Piano, &[0, 1]),
        (Guitar, &[27, 29, 25]),
        (Organ, &[16]),
        (Woodwind, &[66, 65]),
        (Bass, &[32, 33]),
        (Drums, &[0, 8, 32]),
    ],
    comps: &[Hits("x.s.x.s.x.s.x.s."), Hits("x.....s.x.....s."), Hits("....s.......s..."), Hold],
    basses: &[Walking, Pattern("r-r-t-t-f-f-t-t-"), Pattern("r---r---f---a---")],
    grooves: &[Groove {
        light: &[(42, "x.o.x.o.x.o.x.o."), (36, "x.......x......."), (37, "....x.......x...")],
        full: &[(51, "x.x.x.x.x.x.x.x."), (36, "X.....x.x......."), (38, "....X.......X.o.")],
    }],
    moods: &["soulful", "weary"],
};

const LOFI: Style = Style {
    name: "lofi",
    words: &["lo-fi", "lo-fi hip hop", "chillhop", "mellow lo-fi"],
    tempo_bpm: (64, 94),
    minor_share: 0.5,
    waltz_share: 0.0,
    swing: 0.58,
    drums_share: 0.9,
    bass_share: 0.85,
    pentatonic: true,
    density: 0.45,
    major: &["Imaj7 | vi7 | ii7 | V7", "IVmaj7 | iii7 | ii7 | Imaj7", "ii7 | V7 | Imaj7 | vi7"],
    minor: &["i7 | iv7 | bVImaj7 | V7", "bVImaj7 | bVII | i7 | i7", "i7 | bVII | bVImaj7 | iv7"],
    cadence: ("V7", "iv7"),
    melody: &[Piano, Mallets, Guitar, Woodwind, Lead],
    chords: &[Piano, Guitar, Mallets, Pad],
    colour: &[Pad, Strings, Mallets, Choir],
    programs: &[
        (Piano, &[4, 5, 0]),
        (Guitar, &[24, 27]),
        (Mallets, &[11, 12]),
        (Bass, &[33, 35]),
        (Drums, &[25, 8]),
    ],
    comps: &[Hold, Hits("x.....s.x......."), Hits("x.......x..s...."), Arpeggio(2)],
    basses: &[Pattern("r-----..r-.f-.a-"), Pattern("r-------..r-f---"), Pattern("r---..r-r-------")],
    grooves: &[Groove {
        light: &[(42, "x.o.x.o.x.o.x.o."), (36, "x.......x.......")],
        full: &[(42, "x.o.x.o.x.o.x.o."), (36, "X......x..x....."), (38, "....x.......x...")],
    }],
    moods: &["relaxed", "cosy"],
};

const REGGAE: Style = Style {
    name: "reggae",
    words: &["reggae", "laid-back reggae", "roots reggae", "island-style reggae"],
    tempo_bpm: (66, 98),
    minor_share: 0.5,
    waltz_share: 0.0,
    swing: 0.52,
    drums_share: 0.95,
    bass_share: 1.0,
    pentatonic: true,
    density: 0.5,
    major: &["I | IV | I | V", "I | V | vi | IV", "I | ii | I | ii"],
    minor: &["i | iv | i | iv", "i | bVII | i | bVII", "i | iv | bVII | bIII"],
    cadence: ("V", "iv"),
    melody: &[Organ, Guitar, Brass, Woodwind, Mallets],
    chords: &[Guitar, Organ, Piano],
    colour: &[Organ, Brass, Choir, Strings],
    programs: &[
        (Guitar, &[27]),
        (Organ, &[16, 17]),
        (Brass, &[57, 61, 56]),
        (Bass, &[33, 35]),
        (Drums, &[0, 8]),
    ],
    comps: &[Hits("....s.......s..."), Hits("....s.s.....s.s."), Hits("..s...s...s...s.")],
    basses: &[Pattern("r---..t-f---r-.."), Pattern("....r-f-r-....t-"), Pattern("r---r-t-f-......")],
    grooves: &[Groove {
        light: &[(42, "x.o.x.o.x.o.x.o."), (37, "........x.......")],
        full: &[(42, "x.o.x.o.x.o.x.o."), (36, "........X......."), (37, "........X.....o.")],
    }],
    moods: &["laid-back", "easygoing"],
};

/// Every style.
pub const STYLES: [&Style; 12] =
    [&POP, &ROCK, &JAZZ, &CLASSICAL, &ELECTRONIC, &FOLK, &LATIN, &AMBIENT, &FUNK, &BLUES, &LOFI, &REGGAE];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Chord;

    fn symbols(progression: &str) -> impl Iterator<Item = &str> {
        progression.split(['|', ' ']).filter(|symbol| !symbol.is_empty())
    }

    #[test]
    fn every_chord_symbol_parses() {
        for style in STYLES {
            let cadences = [style.cadence.0, style.cadence.1];
            for progression in style.major.iter().chain(style.minor).chain(&cadences) {
                for symbol in symbols(progression) {
                    assert!(Chord::parse(symbol, 0).is_some(), "{}: {symbol}", style.name);
                }
            }
        }
    }

    #[test]
    fn patterns_are_a_bar_long_and_well_spelt() {
        for style in STYLES {
            for comp in style.comps {
                if let Hits(p) | Strum(p) = comp {
                    assert!(p.len() == 16 && p.chars().all(|c| "xs.".contains(c)), "{p}");
                }
            }
            for bass in style.basses {
                if let Pattern(p) = bass {
                    assert!(p.len() == 16 && p.chars().all(|c| "rtfoa-.".contains(c)), "{p}");
                }
            }
            for (_, p) in style.grooves.iter().flat_map(|g| g.light.iter().chain(g.full)) {
                assert!(p.len() == 16 && p.chars().all(|c| "Xxo.".contains(c)), "{p}");
            }
        }
    }

    #[test]
    fn tempi_reach_from_60_to_180() {
        let slowest = STYLES.iter().map(|style| style.tempo_bpm.0).min();
        let fastest = STYLES.iter().map(|style| style.tempo_bpm.1).max();
        assert_eq!((slowest, fastest), (Some(60), Some(180)));
        for bpm in 60..=180 {
            assert!(STYLES.iter().any(|s| (s.tempo_bpm.0..=s.tempo_bpm.1).contains(&bpm)), "{bpm}");
        }
    }
}
