//! Rendering. The soundfont is not part of the project: set MUSICOT_SOUNDFONT to a General MIDI SoundFont 2.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use musicot_corpus::{Amount, Corpus, Error, Split, read_manifest, write_corpus};

fn soundfont() -> Option<PathBuf> {
    let path = std::env::var_os("MUSICOT_SOUNDFONT").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: MUSICOT_SOUNDFONT is not set");
    }
    path
}

fn corpus(out: &Path, soundfont: &Path, pieces: u64) -> Corpus {
    Corpus {
        out: out.to_path_buf(),
        amount: Amount::Pieces(pieces),
        seed: 11,
        split: Split::Heldout,
        soundfont: soundfont.to_path_buf(),
        scores: None,
        stems: u64::MAX,
        solos_from: None,
        jobs: Some(1),
    }
}

fn samples(path: &Path) -> Vec<f32> {
    fs::read(path).unwrap()[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32767.0)
        .collect()
}

#[test]
fn a_corpus_is_written_resumed_and_repeatable() {
    let Some(soundfont) = soundfont() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let report = write_corpus(&corpus(&one, &soundfont, 4), &|_, _| {}).unwrap();
    assert_eq!((report.rendered, report.skipped), (4, 0));
    let records = read_manifest(&one.join("manifest.jsonl")).unwrap();
    assert_eq!(
        records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(),
        ["000000", "000001", "000002", "000003"]
    );

    for record in &records {
        let mix = samples(&one.join(&record.audio));
        assert_eq!(mix.len(), (record.duration_secs * 48_000.0).round() as usize);
        let peak = mix.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        // -1 dB of full scale and one step of 16 bits.
        assert!(peak > 0.05 && peak <= 0.8914, "{}: {peak}", record.id);
        let offset = mix.iter().sum::<f32>() / mix.len() as f32;
        assert!(offset.abs() < 1e-3, "{}: offset {offset}", record.id);
        let mut sum = vec![0.0f32; mix.len()];
        for stem in &record.stems {
            let stem = samples(&one.join(&stem.audio));
            assert!(stem.iter().any(|sample| sample.abs() > 0.01));
            sum.iter_mut().zip(&stem).for_each(|(total, sample)| *total += sample);
        }
        // Half a 16-bit step of rounding for each stem and the mix.
        let bound = 0.5 * (record.stems.len() + 1) as f32 / 32767.0 + 1e-5;
        let worst = sum.iter().zip(&mix).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(worst <= bound, "{}: stems differ from the mix by {worst}", record.id);
    }

    // A run that was stopped: one mix missing, one cut short. Both come back, byte for byte, the others stay.
    let before: Vec<Vec<u8>> =
        (0..4).map(|index| fs::read(one.join(&records[index].audio)).unwrap()).collect();
    fs::remove_file(one.join(&records[1].audio)).unwrap();
    fs::write(one.join(&records[2].audio), &before[2][..1000]).unwrap();
    let report = write_corpus(&corpus(&one, &soundfont, 4), &|_, _| {}).unwrap();
    assert_eq!((report.rendered, report.skipped), (2, 2));
    // From piece 4 on they are solos, the families in their order.
    let longer = Corpus { solos_from: Some(4), ..corpus(&folder.path().join("solos"), &soundfont, 6) };
    write_corpus(&longer, &|_, _| {}).unwrap();
    let solos = read_manifest(&folder.path().join("solos/manifest.jsonl")).unwrap();
    assert_eq!(solos[..4], records);
    assert_eq!(solos[4].tags.instruments, ["piano"]);
    assert_eq!(solos[5].tags.instruments, ["organ"]);

    let parallel = Corpus { jobs: Some(3), stems: 1, ..corpus(&two, &soundfont, 4) };
    write_corpus(&parallel, &|_, _| {}).unwrap();
    let with_stems = read_manifest(&two.join("manifest.jsonl")).unwrap();
    assert_eq!(with_stems[0].stems, records[0].stems);
    assert!(with_stems[1..].iter().all(|record| record.stems.is_empty()));
    assert!(two.join(&records[0].stems[0].audio).exists() && !two.join(&records[1].stems[0].audio).exists());
    for (index, bytes) in before.iter().enumerate() {
        assert_eq!(&fs::read(one.join(&records[index].audio)).unwrap(), bytes);
        assert_eq!(&fs::read(two.join(&records[index].audio)).unwrap(), bytes);
    }

    // Another seed does not belong into the same folder.
    let other = Corpus { seed: 12, ..corpus(&one, &soundfont, 4) };
    let error = write_corpus(&other, &|_, _| {}).unwrap_err();
    assert!(matches!(error, Error::OtherRun { field: "seed", .. }), "{error}");
}

#[test]
fn what_is_no_soundfont_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("font.sf2");
    fs::write(&path, b"not a soundfont").unwrap();
    let error = write_corpus(&corpus(&folder.path().join("out"), &path, 1), &|_, _| {}).unwrap_err();
    assert!(matches!(&error, Error::SoundFont { .. }), "{error}");
    assert!(error.to_string().contains("font.sf2"));
    let missing = folder.path().join("none.sf2");
    let error = write_corpus(&corpus(&folder.path().join("out"), &missing, 1), &|_, _| {}).unwrap_err();
    assert!(matches!(&error, Error::Io { .. }), "{error}");
    assert!(!folder.path().join("out").exists(), "nothing is written before the soundfont is read");
}
