//! Writing wav files: round trips, atomicity, and what is refused.

#![allow(clippy::unwrap_used)] // also in the helpers of these tests

use std::fs;
use std::path::Path;

use musicot_codec::{AudioReader, Error, WavFormat, WavOptions, WavWriter, read_audio, write_wav};
use musicot_core::{AudioBuffer, CounterRng};
use ndarray::{Array2, s};
use proptest::prelude::*;
use tempfile::TempDir;

fn options(format: WavFormat) -> WavOptions {
    WavOptions { format, dither: None }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn noise(channels: usize, frames: usize) -> Array2<f32> {
    let mut draws = CounterRng::new(3).at(0);
    Array2::from_shape_fn((channels, frames), |_| draws.uniform() * 1.9 - 0.95)
}

#[test]
fn what_is_written_is_read() {
    let dir = TempDir::new().unwrap();
    for channels in [1, 2, 3, 6, 18] {
        // An odd number of frames, so that 24-bit mono needs its pad byte.
        let audio = AudioBuffer::new(noise(channels, 5_001), 44_100).unwrap();
        for (format, step) in [
            (WavFormat::Int16, 1.0 / 32_768.0),
            (WavFormat::Int24, 1.0 / 8_388_608.0),
            (WavFormat::Float32, 0.0),
        ] {
            let path = dir.path().join("sub/folder/audio.wav");
            let report = write_wav(&path, &audio, options(format)).unwrap();
            assert_eq!((report.frames, report.clipped_samples), (5_001, 0));
            let read = read_audio(&path).unwrap();
            assert_eq!((read.channels(), read.sample_rate_hz()), (channels, 44_100));
            let worst =
                (read.samples() - audio.samples()).iter().fold(0.0_f32, |worst, x| worst.max(x.abs()));
            // Half a step, and for 24 bits the rounding of f32 itself.
            assert!(
                worst <= 0.5 * step + 3e-8 * f32::from(step > 0.0),
                "{format:?}, {channels} channels: {worst:e}"
            );
            assert_eq!(names(path.parent().unwrap()), ["audio.wav"]);
        }
    }
}

#[test]
fn floats_keep_their_peaks_and_integers_count_them() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("loud.wav");
    let audio = AudioBuffer::mono(vec![1.0, -1.0, 1.5, -7.0, 0.25], 8_000).unwrap();
    assert_eq!(write_wav(&path, &audio, options(WavFormat::Float32)).unwrap().clipped_samples, 0);
    assert_eq!(read_audio(&path).unwrap(), audio);
    assert_eq!(write_wav(&path, &audio, options(WavFormat::Int16)).unwrap().clipped_samples, 2);
    let top = 32_767.0 / 32_768.0;
    assert_eq!(read_audio(&path).unwrap().samples().as_slice(), Some(&[top, -1.0, top, -1.0, 0.25][..]));
}

#[test]
fn dither_is_that_of_its_stream() {
    let dir = TempDir::new().unwrap();
    let audio = AudioBuffer::new(noise(2, 1_000), 8_000).unwrap();
    let bytes = |seed: Option<u64>| {
        let path = dir.path().join("dithered.wav");
        let dither = seed.map(|seed| CounterRng::new(seed).stage("dither"));
        write_wav(&path, &audio, WavOptions { format: WavFormat::Int16, dither }).unwrap();
        fs::read(path).unwrap()
    };
    assert_eq!(bytes(Some(1)), bytes(Some(1)));
    assert_ne!(bytes(Some(1)), bytes(Some(2)));
    assert_ne!(bytes(Some(1)), bytes(None));
}

#[test]
fn until_finished_there_is_only_the_old_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("song.wav");
    fs::write(&path, "old").unwrap();
    let block = AudioBuffer::mono(vec![0.5; 10_000], 48_000).unwrap();
    let mut writer = WavWriter::create(&path, 48_000, 1, WavOptions::default()).unwrap();
    writer.append(&block).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(writer);
    assert_eq!((names(dir.path()), fs::read(&path).unwrap()), (vec!["song.wav".to_owned()], b"old".to_vec()));

    let mut writer = WavWriter::create(&path, 48_000, 1, WavOptions::default()).unwrap();
    writer.append(&block).unwrap();
    assert_eq!(writer.finish().unwrap().frames, 10_000);
    assert_eq!(read_audio(&path).unwrap(), block);
    assert_eq!(names(dir.path()), ["song.wav"]);
}

#[test]
fn a_bad_block_spoils_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("song.wav");
    for bad in [
        AudioBuffer::mono(vec![0.0, f32::NAN], 48_000).unwrap(),
        AudioBuffer::mono(vec![0.0], 44_100).unwrap(),
        AudioBuffer::new(noise(2, 4), 48_000).unwrap(),
    ] {
        let mut writer = WavWriter::create(&path, 48_000, 1, WavOptions::default()).unwrap();
        writer.append(&AudioBuffer::mono(vec![0.0; 10], 48_000).unwrap()).unwrap();
        let error = writer.append(&bad).unwrap_err();
        assert!(matches!(error, Error::Core(musicot_core::Error::Input { .. })), "{error:?}");
        assert!(writer.finish().is_err());
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let audio = AudioBuffer::mono(vec![0.0; 10], 48_000).unwrap();
    let inside_a_file = file.join("song.wav");
    let error = write_wav(&inside_a_file, &audio, WavOptions::default()).unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("kept"), "").unwrap();
    let error = write_wav(&folder, &audio, WavOptions::default()).unwrap_err();
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    assert_eq!(names(dir.path()), ["file", "folder"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn blocks_do_not_matter(
        sizes in prop::collection::vec(0_usize..6_000, 1..8),
        format in prop::sample::select(vec![WavFormat::Int16, WavFormat::Int24, WavFormat::Float32]),
        dithered in any::<bool>(),
    ) {
        let dir = TempDir::new().unwrap();
        let frames = sizes.iter().sum();
        let audio = AudioBuffer::new(noise(2, frames), 48_000).unwrap();
        let options = WavOptions { format, dither: dithered.then(|| CounterRng::new(9)) };
        let (whole, parts) = (dir.path().join("whole.wav"), dir.path().join("parts.wav"));
        write_wav(&whole, &audio, options).unwrap();
        let mut writer = WavWriter::create(&parts, 48_000, 2, options).unwrap();
        let mut start = 0;
        for size in sizes {
            let block = audio.samples().slice(s![.., start..start + size]).to_owned();
            writer.append(&AudioBuffer::new(block, 48_000).unwrap()).unwrap();
            start += size;
        }
        writer.finish().unwrap();
        prop_assert_eq!(fs::read(&whole).unwrap(), fs::read(&parts).unwrap());
        if frames > 0 {
            prop_assert_eq!(AudioReader::open(&parts).unwrap().info().frames, Some(frames as u64));
        }
    }
}
