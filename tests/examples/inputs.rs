//! Recordings, sound and broken.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use musicot::codec::{WavFormat, WavOptions, WavWriter, write_wav};
use musicot::core::AudioBuffer;

/// A tone, and its octave from the middle on.
pub fn tone(secs: f64, rate_hz: u32) -> AudioBuffer {
    let frames = (secs * f64::from(rate_hz)) as usize;
    let hz = |frame: usize| if 2 * frame < frames { 220.0 } else { 440.0 };
    let sample = |frame: usize| 0.3 * (TAU * (hz(frame) * frame as f32 / rate_hz as f32).fract()).sin();
    AudioBuffer::mono((0..frames).map(sample).collect(), rate_hz).unwrap()
}

pub fn write(path: &Path, audio: &AudioBuffer) {
    write_wav(path, audio, WavOptions::default()).unwrap();
}

/// A recording that is never in memory as a whole.
pub fn write_long(path: &Path, minutes: usize) {
    let options = WavOptions { format: WavFormat::Int16, ..WavOptions::default() };
    let mut writer = WavWriter::create(path, 8000, 1, options).unwrap();
    let minute = tone(60.0, 8000);
    for _ in 0..minutes {
        writer.append(&minute).unwrap();
    }
    writer.finish().unwrap();
}

/// A file of 32-bit floats, the 77th of them NaN: our own writer refuses to make one.
pub fn write_nan(path: &Path) {
    let samples: Vec<f32> = (0..8000).map(|frame| if frame == 77 { f32::NAN } else { 0.1 }).collect();
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    // IEEE float, one channel.
    for word in [3_u16, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for word in [8000_u32, 32_000] {
        bytes.extend(word.to_le_bytes());
    }
    for word in [4_u16, 32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

/// The first part of a sound file.
pub fn write_truncated(path: &Path) {
    write(path, &tone(2.0, 8000));
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
