//! Caption templates: one set for training, another for held-out pieces.
//!
//! Marks in braces are filled by the parent module. No template names an instrument of its own.

use crate::family::Split;

/// The templates of one half.
pub(super) struct Templates {
    /// Whole sentences for three parts and more.
    pub(super) full: &'static [&'static str],
    /// For one part.
    pub(super) solo: &'static [&'static str],
    /// For two parts.
    pub(super) duo: &'static [&'static str],
    /// Short ones and lists of tags.
    pub(super) list: &'static [&'static str],
    /// Those that tell the form.
    pub(super) story: &'static [&'static str],
    /// Those that tell something else that is true of the piece.
    pub(super) fact: &'static [&'static str],
    /// For one section.
    pub(super) section: &'static [&'static str],
}

impl Templates {
    /// The templates of a half.
    pub(super) fn of(split: Split) -> &'static Self {
        match split {
            Split::Train => &TRAIN,
            Split::Heldout => &HELD_OUT,
        }
    }
}

const TRAIN: Templates = Templates {
    full: &[
        "A {mood} {style} piece with {instruments}, {pace} in {key}.",
        "{instruments} play a {mood} {style} tune {pace}.",
        "This {tempo} {style} track features {instruments} and feels {mood}.",
        "An instrumental in {key} {pace} with {instruments}; the mood is {mood}.",
        "{mood} {style} music for {instruments}, in {key}.",
        "A {tempo} {style} song in {key}, played by {instruments}. It sounds {mood}.",
        "{style} music with {instruments}. The tempo is {bpm} bpm and the key is {key}.",
        "A {style} arrangement of {instruments} with a {mood} character, {pace}.",
        "A {mood}, {tempo} {style} instrumental built on {instruments}.",
        "A small group of {instruments} plays {tempo} {style} music in a {mode} key.",
        "{tempo} {style} music, {mood} in mood, with {instruments} in {key}.",
        "A recording of {instruments} in a {mood} {style} style {pace}.",
        "{instruments} share a {tempo} {style} groove that feels {mood}.",
        "Over a {mood} {style} backing in {key}, {instruments} play {pace}.",
        "A {style} band of {instruments} plays something {mood} and {tempo}.",
        "The track is {mood} {style} music; you hear {instruments}.",
        "{mood} and {tempo}: {style} music with {instruments}, in {key}.",
        "{instruments} in a {tempo} {style} piece with {fact}.",
        "A {mood} {style} instrumental with {fact}, played by {instruments}.",
        "In {key}, {instruments} play {mood} {style} music {pace}.",
        "A {tempo} instrumental for {instruments}. Style: {style}; feeling: {mood}.",
        "Music in the {style} style with {instruments}. It is {mood} and moves {pace}.",
        "Here is a {mood} {style} tune {pace}, arranged for {instruments}.",
        "{style}, {pace}: {instruments} make it sound {mood}.",
    ],
    solo: &[
        "A solo {instruments} plays a {mood} {style} piece {pace}.",
        "Solo {instruments}, {mood} and {tempo}, in {key}.",
        "A {mood} {style} tune for {instruments} alone, {pace} in {key}.",
        "Only {instruments}: {tempo} {style} music in {key}, {mood}.",
        "Unaccompanied {instruments} in a {style} manner, sounding {mood}, {pace}.",
        "A recording of solo {instruments}.",
        "{instruments} by itself, a {tempo} {style} piece in a {mode} key.",
        "{instruments} solo with {fact}, {mood} and {tempo}.",
        "A {tempo} {style} solo for {instruments} in {key}.",
        "{mood} {instruments} playing on its own {pace}.",
        "One player, {instruments}, in a {mood} {style} mood.",
        "Just {instruments}, {tempo} and {mood}, with {fact}.",
    ],
    duo: &[
        "A duo of {instruments} plays {mood} {style} music {pace}.",
        "A {style} duet for {instruments} in {key}, {tempo} and {mood}.",
        "{instruments} together in a {mood} {style} piece, {pace}.",
        "Just {instruments}: a {tempo} {style} tune in {key}.",
        "A {mood} {style} dialogue between {instruments} {pace} in {key}.",
        "Two players, {instruments}, in a {tempo} {style} piece.",
        "{instruments} play a {tempo} {style} duet with {fact}.",
        "A {mood} duet of {instruments} in {key}.",
        "{instruments}, nothing more, in a {mood} {style} piece.",
        "A pair of instruments, {instruments}, plays {style} music {pace}.",
    ],
    list: &[
        "{style}, {mood}, {list}, {bpm} bpm, {key}",
        "{list}, {tempo}, {mood} {style} music",
        "{style} music with {instruments}",
        "{mood}, {tempo}, {key}, {list}",
        "{bpm} bpm {style} track in {key}: {list}",
        "Genre: {style}. Mood: {mood}. Instruments: {list}. Tempo: {bpm}. Key: {key}.",
        "{mood} {style} track with {instruments}",
        "{list}",
        "{style} | {list} | {fact}",
        "{mood} {instruments}",
        "{tempo} {style}, {list}, {fact}",
        "{key}, {bpm} bpm, {instruments}",
    ],
    story: &[
        "A {mood} {style} piece. {story}",
        "{tempo} {style} music in {key} with {instruments}, in sections: {form}.",
        "{style} music {pace}. {story}",
        "The form is {form}, played by {instruments}. The mood is {mood}.",
        "In {key}, {tempo} and {mood}. {story}",
        "{story} It is {mood} {style} with {fact}.",
        "{style} music in {count} sections ({form}) for {instruments}.",
        "{story} The style is {style}, the tempo {bpm}.",
    ],
    fact: &[
        "{style} music with {fact}; {instruments}.",
        "{instruments} with {fact}.",
        "A {tempo} piece with {fact} for {instruments}.",
        "{fact}, {mood} {style}, {instruments}",
        "You notice {fact} in this {mood} {style} piece for {instruments}.",
        "{instruments} in {key} with {fact} and {other}.",
        "{style} {pace}, with {fact} and {other}: {instruments}.",
        "{mood} music with {fact}, {instruments} playing {style} music.",
    ],
    section: &[
        "{label} with {instruments}, {energy}",
        "A {energy} {label}: {instruments}",
        "The {label} has {instruments}{change}",
        "{energy} {label} with {tune}, {instruments}",
        "{instruments} in a {mood} {label}",
        "{instruments} play the {label}{way}",
        "A {mood}, {energy} {label} for {instruments}{way}",
        "{label}: {energy} {instruments}{change}{way}",
        "In the {label}, {instruments} are {energy}{way}",
    ],
};

const HELD_OUT: Templates = Templates {
    full: &[
        "Give me some {style} music that sounds {mood}, with {instruments}.",
        "I want to hear {instruments} in a {mood} {style} setting {pace}.",
        "Imagine a {mood} {style} scene scored for {instruments} in {key}.",
        "The music is {style} in character and {mood} in feel, {tempo}, performed on {instruments}.",
        "You can hear {instruments} carrying a {tempo} {style} number in {key}.",
        "Compose something {mood}: {style}, {bpm} beats a minute, scored for {instruments}.",
        "Could you make {style} music with {instruments}? It should be {mood} and {tempo}.",
        "{instruments} come together for a {mood} {style} number that has {fact}.",
        "My film needs a {mood} {style} cue {pace} on {instruments}.",
        "What plays is {tempo} {style} music from {instruments}, {mood} from start to end.",
    ],
    solo: &[
        "Give me one {instruments} and nothing else, {mood} and {tempo}.",
        "Somebody plays {instruments} alone in a room: {style}, {key}, {mood}.",
        "A lone {instruments} carries this {tempo} {style} number.",
        "Nothing but {instruments}, in {key} {pace}.",
        "I want to hear {instruments} without company, {mood}, with {fact}.",
    ],
    duo: &[
        "Give me {instruments} and no one else, a {mood} {style} number {pace}.",
        "Two musicians share this {tempo} {style} number: {list}.",
        "A conversation of {instruments}, {style} in feel, {mood}, in {key}.",
        "{instruments} trade lines in a {mood} {style} number with {fact}.",
    ],
    list: &[
        "{list} | {style} | {mood} | {tempo}",
        "Background music: {instruments}, {mood}, {tempo}",
        "{key} {style} music, {tempo}, scored for {instruments}",
        "#{style} #{mood} {list}",
        "looking for: {mood} {style}, {list}",
    ],
    story: &[
        "Structure: {form}. Scoring: {instruments}. Feel: {mood} {style}.",
        "Something {mood} and {tempo}. {story}",
        "A {style} number that moves through {form}, with {instruments}.",
        "{story} Think {style} music, {mood}, around {bpm}.",
    ],
    fact: &[
        "Please include {fact}: a {style} number for {instruments}.",
        "Scored for {instruments}, it has {fact} and {other}.",
        "What stands out is {fact}; {instruments} carry the {style} tune.",
    ],
    section: &[
        "Here {instruments} carry a {energy} {label}",
        "{label}: {instruments}, {mood} and {energy}",
        "This {label} is {energy}, scored for {instruments}{change}",
        "{instruments} take the {energy} {label}{way}",
    ],
};
