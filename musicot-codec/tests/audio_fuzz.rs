//! Damaged files: whatever bytes come, there is audio or an error, soon, and never a panic.

#![allow(clippy::unwrap_used)] // also in the helpers of these tests

mod audio_common;

use std::fs;
use std::time::{Duration, Instant};

use audio_common::{DECODED, fixture};
use musicot_codec::{AudioReader, Channels, Tolerance};
use proptest::prelude::*;
use tempfile::TempDir;

/// Decodes with and without tolerance; panics fail the test.
fn survive(name: &str, bytes: &[u8]) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    let begun = Instant::now();
    for tolerance in [Tolerance::LENIENT, Tolerance::default()] {
        let read = AudioReader::open_with(&path, tolerance)
            .and_then(|reader| reader.with_target(16_000, Channels::Mono))
            .and_then(|mut reader| reader.read_all());
        match read {
            Ok(audio) => assert!(audio.expect_finite().is_ok()),
            Err(error) => assert!(error.to_string().len() > 10),
        }
    }
    // Files of 30 kB decode in milliseconds; a machine under load gets a thousand times that.
    assert!(begun.elapsed() < Duration::from_secs(20), "{name} took {:?}", begun.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn truncated(name in prop::sample::select(&DECODED[..]), part in 0.0_f64..1.0) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        bytes.truncate((bytes.len() as f64 * part) as usize);
        survive(name, &bytes);
    }

    #[test]
    fn bytes_changed(
        name in prop::sample::select(&DECODED[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survive(name, &bytes);
    }

    /// Most of the structure is in the first bytes of a file, and for m4a in the last.
    #[test]
    fn headers_changed(
        name in prop::sample::select(&DECODED[..]),
        changes in prop::collection::vec((0_usize..1200, any::<bool>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (at, from_end, value) in changes {
            let at = at.min(bytes.len() - 1);
            let at = if from_end { bytes.len() - 1 - at } else { at };
            bytes[at] = value;
        }
        survive(name, &bytes);
    }

    #[test]
    fn pieces_repeated_or_lost(
        name in prop::sample::select(&DECODED[..]),
        start in any::<prop::sample::Index>(),
        length in 1_usize..3_000,
        repeated in any::<bool>(),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        let start = start.index(bytes.len());
        let end = (start + length).min(bytes.len());
        let piece = bytes[start..end].to_vec();
        bytes.splice(start..end, if repeated { piece.repeat(2) } else { Vec::new() });
        survive(name, &bytes);
    }
}
