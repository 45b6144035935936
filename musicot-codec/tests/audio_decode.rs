//! Decoding: against ffmpeg, against each other, at other rates and channels, and what is refused.

#![allow(clippy::unwrap_used)] // also in the helpers of these tests

mod audio_common;

use std::fs;
use std::path::{Path, PathBuf};

use audio_common::{DECODED, fixture, snr_db};
use musicot_codec::{
    AudioReader, Channels, Error, Tolerance, WavFormat, WavOptions, read_audio, resample, write_wav,
};
use musicot_core::AudioBuffer;
use tempfile::TempDir;

/// What ffmpeg decodes from a lossy fixture: interleaved 16-bit integers.
fn golden(name: &str, channels: usize) -> Vec<Vec<f32>> {
    let bytes = fs::read(fixture(&format!("{name}.s16"))).unwrap();
    let samples: Vec<f32> =
        bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0).collect();
    (0..channels).map(|channel| samples.iter().skip(channel).step_by(channels).copied().collect()).collect()
}

/// A file with the bytes of a fixture after `change`.
fn changed(dir: &TempDir, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read(fixture(name)).unwrap();
    change(&mut bytes);
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Every error names its file.
fn message(error: &Error, path: &Path) -> String {
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    message
}

#[test]
fn lossy_formats_agree_with_ffmpeg() {
    // Name, rate, channels, frames. ffmpeg's own output differs at the end only: 128 frames less of the ogg, of which the
    // last page's granule position says that they are audio, and 448 frames of padding more of the m4a.
    for (name, rate, channels, frames) in [
        ("stereo_44k.ogg", 44_100, 2, 7_056),
        ("mono_22k.mp3", 22_050, 1, 13_230),
        ("mono_44k.mp3", 44_100, 1, 13_230),
        // Without a LAME tag nothing says what is padding: all packets of 1152 frames are kept.
        ("mono_44k_bare.mp3", 44_100, 1, 12_672),
        ("stereo_48k.m4a", 48_000, 2, 6_720),
    ] {
        let audio = read_audio(fixture(name)).unwrap();
        assert_eq!(
            (audio.sample_rate_hz(), audio.channels(), audio.frames()),
            (rate, channels, frames),
            "{name}"
        );
        for (channel, expected) in golden(name, channels).iter().enumerate() {
            let row = audio.samples().row(channel).to_vec();
            let snr = snr_db(expected, &row);
            // The golden's 16 bits alone leave 80 to 90 dB at this level.
            assert!(snr > 75.0, "{name} channel {channel}: {snr:.1} dB");
        }
    }
}

#[test]
fn lossy_formats_keep_the_time_of_the_click() {
    for (name, click) in [
        ("mono_44k.mp3", 4_410),
        ("mono_22k.mp3", 2_205),
        ("stereo_48k.m4a", 4_800),
        ("stereo_44k.ogg", 4_410),
    ] {
        let audio = read_audio(fixture(name)).unwrap();
        let row = audio.samples().row(0).to_vec();
        // The click stands out against the smooth sweep in the second difference.
        let bend = |at: usize| (row[at - 1] - 2.0 * row[at] + row[at + 1]).abs();
        let found = (1..row.len() - 1).max_by(|a, b| bend(*a).total_cmp(&bend(*b))).unwrap();
        assert!(found.abs_diff(click) <= 1, "{name}: click at {found}, expected {click}");
    }
}

#[test]
fn lossless_formats_are_exact() {
    for (name, wav) in [
        ("mono_22k_s16.flac", "mono_22k_s16.wav"),
        ("mono_22k_alac.m4a", "mono_22k_s16.wav"),
        ("stereo_48k_s16.flac", "stereo_48k_s16.wav"),
        ("stereo_48k_alac.m4a", "stereo_48k_s16.wav"),
        ("mono_22k_s24.flac", "mono_22k_s24.wav"),
    ] {
        assert_eq!(read_audio(fixture(name)).unwrap(), read_audio(fixture(wav)).unwrap(), "{name}");
    }
}

#[test]
fn wav_samples_are_their_integers_over_full_scale() {
    let data = |name: &str| {
        let bytes = fs::read(fixture(name)).unwrap();
        let start = bytes.windows(4).position(|window| window == b"data").unwrap() + 8;
        bytes[start..].to_vec()
    };
    let decoded = |name: &str| read_audio(fixture(name)).unwrap().samples().row(0).to_vec();
    let u8s: Vec<f32> = data("mono_8k_u8.wav").iter().map(|b| (f32::from(*b) - 128.0) / 128.0).collect();
    assert_eq!(decoded("mono_8k_u8.wav"), u8s);
    let s16s: Vec<f32> = data("mono_22k_s16.wav")
        .chunks_exact(2)
        .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0)
        .collect();
    assert_eq!(decoded("mono_22k_s16.wav"), s16s);
    let s24s: Vec<f32> = data("mono_22k_s24.wav")
        .chunks_exact(3)
        .map(|b| (i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8) as f32 / 8_388_608.0)
        .collect();
    assert_eq!(decoded("mono_22k_s24.wav"), s24s);
    let floats: Vec<f32> = data("mono_22k_f32.wav")
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    assert_eq!(decoded("mono_22k_f32.wav"), floats);
}

#[test]
fn all_channels_are_kept_in_order() {
    // ffmpeg's recipe: left, right, half left, a tenth right, a fifth left, a fifth right.
    let audio = read_audio(fixture("six_8k_s16.wav")).unwrap();
    assert_eq!((audio.channels(), audio.frames()), (6, 1_600));
    for frame in 0..audio.frames() {
        let at = |channel: usize| audio.samples()[[channel, frame]];
        let (left, right) = (at(0), at(1));
        for (channel, expected) in [(2, 0.5 * left), (3, 0.1 * right), (4, 0.2 * left), (5, 0.2 * right)] {
            // One step of 16 bits of rounding, and the step that left and right were themselves rounded by.
            assert!((at(channel) - expected).abs() <= 2.0 / 32_768.0, "channel {channel} at {frame}");
        }
    }
}

#[test]
fn info_is_that_of_the_file() {
    let reader = AudioReader::open(fixture("stereo_48k.m4a")).unwrap();
    let reader = reader.with_target(16_000, Channels::Mono).unwrap();
    let info = reader.info();
    assert_eq!((info.container, info.codec), ("isomp4", "aac"));
    assert_eq!((info.sample_rate_hz, info.channels, info.frames), (48_000, 2, Some(6_720)));
    assert_eq!((reader.sample_rate_hz(), reader.channels()), (16_000, 1));
    assert_eq!(reader.duration_secs(), Some(0.14));
}

#[test]
fn the_content_decides_and_not_the_name() {
    let dir = TempDir::new().unwrap();
    for (index, name) in DECODED.iter().enumerate() {
        let misnamed = dir.path().join(format!("{index}.txt"));
        fs::copy(fixture(name), &misnamed).unwrap();
        assert_eq!(read_audio(&misnamed).unwrap(), read_audio(fixture(name)).unwrap(), "{name}");
    }
}

#[test]
fn blocks_joined_are_the_whole() {
    for name in DECODED {
        let whole = read_audio(fixture(name)).unwrap();
        let blocks: Vec<AudioBuffer> = AudioReader::open(fixture(name))
            .unwrap()
            .with_block_frames(1_000)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(blocks[..blocks.len() - 1].iter().all(|block| block.frames() == 1_000), "{name}");
        let views: Vec<_> = blocks.iter().map(|block| block.samples().view()).collect();
        let joined = ndarray::concatenate(ndarray::Axis(1), &views).unwrap();
        assert_eq!(&joined, whole.samples(), "{name}");
    }
}

#[test]
fn target_while_reading_is_target_afterwards() {
    for name in DECODED {
        let read = |channels| {
            AudioReader::open(fixture(name))
                .unwrap()
                .with_target(32_000, channels)
                .unwrap()
                .read_all()
                .unwrap()
        };
        let plain = read_audio(fixture(name)).unwrap();
        assert_eq!(read(Channels::Keep), resample(&plain, 32_000).unwrap(), "{name}");
        let mono = read(Channels::Mono);
        let expected = resample(&plain.to_mono(), 32_000).unwrap();
        assert_eq!(mono.frames(), expected.frames(), "{name}");
        // The two means are summed in another order: rounding of f32.
        assert!(snr_db(expected.samples(), mono.samples()) > 120.0, "{name}");
        assert_eq!(read(Channels::Stereo).channels(), 2, "{name}");
    }
}

#[test]
fn mono_becomes_two_equal_channels() {
    let reader = AudioReader::open(fixture("mono_22k_s16.wav")).unwrap();
    let stereo = reader.with_target(22_050, Channels::Stereo).unwrap().read_all().unwrap();
    let mono = read_audio(fixture("mono_22k_s16.wav")).unwrap();
    assert_eq!(stereo.samples().row(0), mono.samples().row(0));
    assert_eq!(stereo.samples().row(1), mono.samples().row(0));
}

#[test]
fn tags_with_pictures_full_of_sync_words_are_stepped_over() {
    let dir = TempDir::new().unwrap();
    let picture: Vec<u8> = [0xFF, 0xFB, 0x90, 0x44].repeat(400_000);
    let body = [b"\0image/jpeg\0\x03\0".as_slice(), &picture].concat();
    let mut tag = Vec::from(*b"APIC");
    tag.extend((body.len() as u32).to_be_bytes());
    tag.extend([0, 0]);
    tag.extend(body);
    // Sizes of ID3v2.3 tags have 7 bits per byte.
    let size = [21, 14, 7, 0].map(|shift| (tag.len() >> shift & 0x7F) as u8);
    let head = [b"ID3\x03\0\0".as_slice(), &size, &tag].concat();
    let tagged = changed(&dir, "mono_44k.mp3", |bytes| {
        bytes.splice(0..0, head);
    });
    assert_eq!(read_audio(tagged).unwrap(), read_audio(fixture("mono_44k.mp3")).unwrap());
}

#[test]
fn what_is_no_audio_is_refused() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.wav");
    let error = read_audio(&missing).unwrap_err();
    assert!(matches!(error, Error::Core(musicot_core::Error::Io { .. })), "{error:?}");
    message(&error, &missing);

    let error = read_audio(dir.path()).unwrap_err();
    assert!(message(&error, dir.path()).contains("directory"));

    let text: Vec<u8> = b"This is no music. ".repeat(200);
    for (name, bytes) in
        [("none.wav", &b""[..]), ("text.mp3", &text), ("zeros.flac", &[0; 50_000]), ("short.ogg", b"Og")]
    {
        let path = write(&dir, name, bytes);
        let error = read_audio(&path).unwrap_err();
        assert!(matches!(error, Error::NotAudio { .. }), "{name}: {error:?}");
        message(&error, &path);
    }
}

#[test]
fn other_codecs_are_named_as_such() {
    let path = fixture("mono_48k_opus.ogg");
    let error = read_audio(&path).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(message(&error, &path).contains("codec"));
}

#[test]
fn a_shortened_file_is_truncated_and_what_is_left_can_be_had() {
    let dir = TempDir::new().unwrap();
    for name in DECODED {
        // An mp3 without a tag announces no length; of an m4a the tables at its end are lost, see below.
        if name == "mono_44k_bare.mp3" || name.ends_with(".m4a") {
            continue;
        }
        let path = changed(&dir, name, |bytes| bytes.truncate(bytes.len() * 9 / 10));
        let strict =
            AudioReader::open_with(&path, Tolerance::STRICT).and_then(|mut reader| reader.read_all());
        let error = strict.unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{name}: {error:?}");
        message(&error, &path);

        let mut reader = AudioReader::open_with(&path, Tolerance::LENIENT).unwrap();
        let left = reader.read_all().unwrap();
        let whole = read_audio(fixture(name)).unwrap();
        assert!(left.frames() > 0 && left.frames() < whole.frames(), "{name}: {} frames", left.frames());
        assert!(!reader.report().is_clean() || name.ends_with(".ogg"), "{name}");
    }
}

#[test]
fn an_m4a_without_its_tables_is_truncated() {
    let dir = TempDir::new().unwrap();
    for name in ["mono_22k_alac.m4a", "stereo_48k.m4a"] {
        // ffmpeg puts the tables last: without them nothing can be decoded.
        for part in [3, 5, 8, 9] {
            let path = changed(&dir, name, |bytes| bytes.truncate(bytes.len() * part / 10));
            let error = read_audio(&path).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{name}: {error:?}");
            message(&error, &path);
        }
    }
}

#[test]
fn zero_seconds_are_empty() {
    let dir = TempDir::new().unwrap();
    for format in [WavFormat::Int16, WavFormat::Int24, WavFormat::Float32] {
        let path = dir.path().join("empty.wav");
        let nothing = AudioBuffer::mono(Vec::new(), 48_000).unwrap();
        write_wav(&path, &nothing, WavOptions { format, dither: None }).unwrap();
        let error = read_audio(&path).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error:?}");
        message(&error, &path);
    }
}

#[test]
fn the_first_sample_that_is_not_finite_is_named() {
    let dir = TempDir::new().unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let path = changed(&dir, "mono_22k_f32.wav", |bytes| {
            let at = bytes.len() - 4 * 1_000;
            bytes[at..at + 4].copy_from_slice(&bad.to_le_bytes());
        });
        let mut reader = AudioReader::open(&path).unwrap();
        let error = reader.find_map(Result::err).unwrap();
        assert!(matches!(error, Error::NonFinite { channel: 0, frame: 5_615, .. }), "{error:?}");
        message(&error, &path);
        assert!(reader.next().is_none(), "the iterator ends after an error");
    }
}

#[test]
fn a_damaged_mp3_packet_becomes_silence_and_is_counted() {
    let dir = TempDir::new().unwrap();
    let clean = read_audio(fixture("mono_44k.mp3")).unwrap();
    // Destroy the header of one frame near the middle: sync word to zeros.
    let path = changed(&dir, "mono_44k.mp3", |bytes| {
        let middle = bytes.len() / 2;
        let at = (middle..).find(|at| bytes[*at] == 0xFF && bytes[at + 1] == 0xFB).unwrap();
        bytes[at..at + 4].fill(0);
    });
    let mut reader = AudioReader::open(&path).unwrap();
    let audio = reader.read_all().unwrap();
    assert!(!reader.report().is_clean(), "{:?}", reader.report());
    // The search for the next frame may take bits of the lost one for a header, and lose frames with it.
    assert!(clean.frames() - audio.frames() <= 8 * 1_152, "{} of {}", audio.frames(), clean.frames());

    let error = AudioReader::open_with(&path, Tolerance::STRICT)
        .and_then(|mut reader| reader.read_all())
        .unwrap_err();
    assert!(matches!(error, Error::Damaged { .. } | Error::Truncated { .. }), "{error:?}");
}

#[test]
fn junk_after_the_announced_end_is_ignored() {
    let dir = TempDir::new().unwrap();
    for name in DECODED {
        // An mp3 without a tag announces no length, and the last frame of a flac ends where the file does.
        if name == "mono_44k_bare.mp3" || name.ends_with(".flac") {
            continue;
        }
        let path =
            changed(&dir, name, |bytes| bytes.extend(b"TAG trailing junk \xFF\xFB\x90\x44".repeat(50)));
        let mut reader = AudioReader::open(&path).unwrap();
        let audio = reader.read_all();
        assert_eq!(audio.unwrap(), read_audio(fixture(name)).unwrap(), "{name}");
        assert!(reader.report().is_clean(), "{name}: {:?}", reader.report());
    }
}

#[test]
fn an_id3v1_tag_at_the_end_is_no_audio() {
    let dir = TempDir::new().unwrap();
    for name in DECODED {
        let mut tag = [b' '; 128];
        tag[..10].copy_from_slice(b"TAG\xFF\xFB\x90D\xFF\xF8\xC9");
        let path = changed(&dir, name, |bytes| bytes.extend(tag));
        assert_eq!(read_audio(&path).unwrap(), read_audio(fixture(name)).unwrap(), "{name}");
    }
}

fn mp4_box(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes(), &name[..], &body].concat()
}

#[test]
fn the_gap_tag_of_an_m4a_is_followed() {
    let dir = TempDir::new().unwrap();
    // The encoder's delay of 1024 frames and 100 more, then 4000 frames.
    let text = " 00000000 00000464 00000000 0000000000000FA0 00000000 00000000";
    let none = 0_u32.to_be_bytes();
    let tag = mp4_box(
        b"----",
        &[
            &mp4_box(b"mean", &[&none, b"com.apple.iTunes"]),
            &mp4_box(b"name", &[&none, b"iTunSMPB"]),
            &mp4_box(b"data", &[&1_u32.to_be_bytes(), &none, text.as_bytes()]),
        ],
    );
    let handler = mp4_box(b"hdlr", &[&none, &none, b"mdirappl", &none, &none, b"\0"]);
    let meta = mp4_box(b"meta", &[&none, &handler, &mp4_box(b"ilst", &[&tag])]);
    let data = mp4_box(b"udta", &[&meta]);
    let path = changed(&dir, "stereo_48k.m4a", |bytes| {
        // The tables are the last box of the file: make them longer.
        let at = bytes.windows(4).position(|window| window == b"moov").unwrap() - 4;
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(at + size as usize, bytes.len());
        bytes[at..at + 4].copy_from_slice(&(size + data.len() as u32).to_be_bytes());
        bytes.extend(&data);
    });
    let whole = read_audio(fixture("stereo_48k.m4a")).unwrap();
    let part = read_audio(&path).unwrap();
    assert_eq!(part.frames(), 4_000);
    assert_eq!(part.samples(), whole.samples().slice(ndarray::s![.., 100..4_100]));
}

#[test]
fn an_mp3_without_length_keeps_its_good_part_before_trailing_damage() {
    let dir = TempDir::new().unwrap();
    let path = changed(&dir, "mono_44k_bare.mp3", |bytes| bytes.extend([0x55; 3_000]));
    let audio = AudioReader::open(&path).unwrap().read_all().unwrap();
    assert_eq!(audio, read_audio(fixture("mono_44k_bare.mp3")).unwrap());
}

#[test]
fn impossible_targets_are_refused() {
    for (rate, channels) in [(0, Channels::Keep), (u32::MAX, Channels::Mono), (10, Channels::Stereo)] {
        let reader = AudioReader::open(fixture("mono_22k_s16.wav")).unwrap();
        let error = reader.with_target(rate, channels).unwrap_err();
        assert!(matches!(error, Error::SampleRates { .. }), "{error:?}");
    }
    let reader = AudioReader::open(fixture("mono_22k_s16.wav")).unwrap();
    assert!(reader.with_block_frames(0).is_err());
    let mut begun = AudioReader::open(fixture("mono_22k_s16.wav")).unwrap();
    begun.next().unwrap().unwrap();
    assert!(begun.with_target(16_000, Channels::Mono).is_err(), "too late");
}
