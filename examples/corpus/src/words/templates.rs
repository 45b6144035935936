//! Caption templates: one set for training, another for held-out pieces.
//!
//! Marks in braces are filled by the parent module. No template names an instrument of its own.

use crate::family::Split;
use crate::piece::Section;
use crate::rng::Rng;

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
    ],
    solo: &[
        "A solo {instruments} plays a {mood} {style} piece {pace}.",
        "Solo {instruments}, {mood} and {tempo}, in {key}.",
        "A {mood} {style} tune for {instruments} alone, {pace} in {key}.",
        "Only {instruments}: {tempo} {style} music in {key}, {mood}.",
        "Unaccompanied {instruments} in a {style} manner, sounding {mood}, {pace}.",
        "A recording of solo {instruments}.",
        "{instruments} by itself, a {tempo} {style} piece in a {mode} key.",
    ],
    duo: &[
        "A duo of {instruments} plays {mood} {style} music {pace}.",
        "A {style} duet for {instruments} in {key}, {tempo} and {mood}.",
        "{instruments} together in a {mood} {style} piece, {pace}.",
        "Just {instruments}: a {tempo} {style} tune in {key}.",
        "A {mood} {style} dialogue between {instruments} {pace} in {key}.",
        "Two players, {instruments}, in a {tempo} {style} piece.",
    ],
    list: &[
        "{style}, {mood}, {list}, {bpm} bpm, {key}",
        "{list}, {tempo}, {mood} {style} music",
        "{style} music with {instruments}",
        "{mood}, {tempo}, {key}, {list}",
        "{bpm} bpm {style} track in {key}: {list}",
        "Genre: {style}. Mood: {mood}. Instruments: {list}. Tempo: {bpm}. Key: {key}.",
        "{mood} {style} track with {instruments}",
    ],
    story: &[
        "A {mood} {style} piece. {story}",
        "{tempo} {style} music in {key} with {instruments}, in sections: {form}.",
        "{style} music {pace}. {story}",
        "The form is {form}, played by {instruments}. The mood is {mood}.",
        "In {key}, {tempo} and {mood}. {story}",
    ],
    section: &[
        "{label} with {instruments}, {energy}",
        "A {energy} {label}: {instruments}",
        "The {label} has {instruments}{change}",
        "{energy} {label} with {tune}, {instruments}",
        "{instruments} in a {mood} {label}",
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
    ],
    solo: &[
        "Give me one {instruments} and nothing else, {mood} and {tempo}.",
        "Somebody plays {instruments} alone in a room: {style}, {key}, {mood}.",
        "A lone {instruments} carries this {tempo} {style} number.",
        "Nothing but {instruments}, in {key} {pace}.",
    ],
    duo: &[
        "Give me {instruments} and no one else, a {mood} {style} number {pace}.",
        "Two musicians share this {tempo} {style} number: {list}.",
        "A conversation of {instruments}, {style} in feel, {mood}, in {key}.",
    ],
    list: &[
        "{list} | {style} | {mood} | {tempo}",
        "Background music: {instruments}, {mood}, {tempo}",
        "{key} {style} music, {tempo}, scored for {instruments}",
        "#{style} #{mood} {list}",
    ],
    story: &[
        "Structure: {form}. Scoring: {instruments}. Feel: {mood} {style}.",
        "Something {mood} and {tempo}. {story}",
        "A {style} number that moves through {form}, with {instruments}.",
    ],
    section: &[
        "Here {instruments} carry a {energy} {label}",
        "{label}: {instruments}, {mood} and {energy}",
        "This {label} is {energy}, scored for {instruments}{change}",
    ],
};

/// How a section differs from the one before: a few words, or none.
pub(super) fn change(before: Option<&Section>, now: &Section, rng: &mut Rng) -> &'static str {
    let Some(before) = before else {
        return "";
    };
    let (old, new) = (before.families.len(), now.families.len());
    if new > old {
        rng.word(&[", fuller than before", ", building up"])
    } else if new < old {
        rng.word(&[", thinner than before", ", pulling back"])
    } else {
        ""
    }
}
