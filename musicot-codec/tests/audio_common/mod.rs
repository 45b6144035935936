//! What the audio tests share.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// A file that `tests/reference/audio_fixtures.sh` made.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every fixture that is decoded.
pub const DECODED: [&str; 16] = [
    "mono_8k_u8.wav",
    "mono_22k_s16.wav",
    "mono_22k_s24.wav",
    "mono_22k_f32.wav",
    "stereo_48k_s16.wav",
    "six_8k_s16.wav",
    "mono_22k_s16.flac",
    "mono_22k_s24.flac",
    "stereo_48k_s16.flac",
    "mono_22k_alac.m4a",
    "stereo_48k_alac.m4a",
    "stereo_44k.ogg",
    "mono_22k.mp3",
    "mono_44k.mp3",
    "mono_44k_bare.mp3",
    "stereo_48k.m4a",
];

/// Power of `expected` over that of the difference, in dB.
pub fn snr_db<'a>(
    expected: impl IntoIterator<Item = &'a f32>,
    actual: impl IntoIterator<Item = &'a f32>,
) -> f64 {
    let (mut signal, mut noise) = (0.0, 1e-300);
    for (expected, actual) in expected.into_iter().zip(actual) {
        let (expected, actual) = (f64::from(*expected), f64::from(*actual));
        signal += expected * expected;
        noise += (expected - actual) * (expected - actual);
    }
    10.0 * (signal / noise).log10()
}
