//! Pieces arranged from scores; the scores here are composed ones, written as MIDI files.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::check;
use musicot_corpus::{Error, PieceRecord, Provenance, Scores, Split, compose, make, mentioned, to_midi};

fn provenance(file: &str) -> Provenance {
    Provenance {
        title: "Quartet".to_owned(),
        composer: "Nobody".to_owned(),
        licence: "CC0-1.0".to_owned(),
        origin: "a test".to_owned(),
        file: file.to_owned(),
    }
}

/// Writes `count` long classical pieces of several parts as scores.
fn write_scores(folder: &Path, count: usize) {
    let pieces = (0..).map(|index| compose(21, index, Split::Train));
    let fitting = pieces
        .filter(|piece| piece.style == "classical" && piece.parts.len() >= 2 && piece.duration_secs() > 45.0);
    for (index, piece) in fitting.take(count).enumerate() {
        let name = format!("score-{index}");
        fs::write(folder.join(format!("{name}.mid")), to_midi(&piece)).unwrap();
        let text = serde_json::to_string(&provenance(&format!("{name}.mxl"))).unwrap();
        fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
}

#[test]
fn arrangements_are_well_formed_and_tell_their_source() {
    let folder = tempfile::tempdir().unwrap();
    write_scores(folder.path(), 40);
    let scores = Scores::open(folder.path()).unwrap();
    let mut arranged = 0;
    let mut files: [BTreeSet<String>; 2] = [BTreeSet::new(), BTreeSet::new()];
    for (half, split) in [Split::Train, Split::Heldout].into_iter().enumerate() {
        for index in 0..300 {
            let piece = make(3, index, split, Some(&scores));
            assert_eq!(piece, make(3, index, split, Some(&scores)));
            check(&piece).unwrap();
            let Some(source) = &piece.source else {
                assert_eq!(piece, compose(3, index, split));
                continue;
            };
            arranged += 1;
            files[half].insert(source.file.clone());
            let families: BTreeSet<_> = piece.parts.iter().map(|part| part.family).collect();
            for caption in &piece.captions {
                assert!(mentioned(caption).iter().all(|family| families.contains(family)), "{caption}");
            }
            assert_eq!(PieceRecord::of(&piece, true).source.as_ref(), Some(source));
        }
    }
    // At most a fifth of 600; of these scores, not much longer than an excerpt, many have none.
    assert!((20..150).contains(&arranged), "{arranged}");
    assert!(files[0].is_disjoint(&files[1]) && !files[1].is_empty(), "{files:?}");
}

#[test]
fn without_scores_nothing_changes() {
    for index in 0..20 {
        assert_eq!(make(3, index, Split::Train, None), compose(3, index, Split::Train));
    }
}

#[test]
fn a_score_without_provenance_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_scores(folder.path(), 1);
    let fingerprint = Scores::open(folder.path()).unwrap().fingerprint().to_owned();
    fs::write(folder.path().join("other.mid"), b"MThd").unwrap();
    let error = Scores::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("other.json")), "{error}");
    let text = serde_json::to_string(&provenance("other.mxl")).unwrap();
    fs::write(folder.path().join("other.json"), text).unwrap();
    let error = Scores::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Score { .. }), "{error}");
    fs::remove_file(folder.path().join("other.mid")).unwrap();
    assert_eq!(Scores::open(folder.path()).unwrap().fingerprint(), fingerprint);
}
