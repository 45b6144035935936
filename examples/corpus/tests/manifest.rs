//! The manifest's schema, and reading it back.

#![allow(clippy::unwrap_used)]

use std::fs;

use musicot_corpus::{Error, PieceRecord, Split, compose, read_manifest};

#[test]
fn round_trip() {
    let records: Vec<PieceRecord> = (0..50)
        .map(|index| {
            let split = if index % 2 == 0 { Split::Train } else { Split::Heldout };
            PieceRecord::of(&compose(3, index, split), index % 3 == 0)
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.jsonl");
    let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(read_manifest(&path).unwrap(), records);
}

#[test]
fn sections_tile_the_duration() {
    for index in 0..100 {
        let record = PieceRecord::of(&compose(5, index, Split::Train), false);
        assert!(record.stems.is_empty());
        assert_eq!(record.sections[0].start_secs, 0.0);
        for pair in record.sections.windows(2) {
            assert_eq!(pair[0].end_secs, pair[1].start_secs);
        }
        assert_eq!(record.sections[record.sections.len() - 1].end_secs, record.duration_secs);
        assert!(record.lyrics.iter().all(|lyric| lyric.end_secs <= record.duration_secs));
    }
}

#[test]
fn keys_are_those_of_the_schema() {
    let record = PieceRecord::of(&compose(5, 3, Split::Train), true);
    let value = serde_json::to_value(&record).unwrap();
    let keys =
        |value: &serde_json::Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut top = keys(&value);
    top.sort();
    assert_eq!(
        top,
        ["audio", "captions", "duration_secs", "id", "lyrics", "sections", "split", "stems", "tags"]
    );
    assert_eq!(value["id"], "000003");
    assert_eq!(value["audio"], "audio/000003.wav");
    assert_eq!(value["split"], "train");
    let stem = &value["stems"][0];
    let family = stem["family"].as_str().unwrap();
    assert_eq!(stem["audio"], format!("stems/000003/{family}.wav"));
    assert_eq!(value["tags"]["instruments"][0], family);
}

#[test]
fn a_broken_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.jsonl");
    let good = serde_json::to_string(&PieceRecord::of(&compose(1, 0, Split::Train), false)).unwrap();
    fs::write(&path, format!("{good}\n{{\"id\": 3}}\n")).unwrap();
    let error = read_manifest(&path).unwrap_err();
    assert!(matches!(&error, Error::Json { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("line 2"));
    assert!(matches!(read_manifest(&folder.path().join("none")), Err(Error::Io { .. })));
}
