//! Figures of raw recordings, one JSON object per line.
//!
//! `cargo run -p musicot-eval --example clip_measures -- SAMPLE_RATE_HZ FILE...`: each file holds one channel of 16-bit
//! little-endian samples. `tests/reference/eval_audio.py agree` compares them with librosa and mir_eval.

use std::error::Error;

use musicot_eval::clip::ClipStats;
use musicot_eval::core::AudioBuffer;
use musicot_eval::onsets::onset_times;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let rate = args.next().ok_or("usage: clip_measures SAMPLE_RATE_HZ FILE...")?.parse()?;
    for path in args {
        let bytes = std::fs::read(&path).map_err(|e| format!("{path}: {e}"))?;
        let samples =
            bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0);
        let audio = AudioBuffer::mono(samples.collect(), rate)?;
        let (stats, onsets) = (ClipStats::of(&audio)?, onset_times(&audio)?);
        println!("{}", serde_json::json!({ "file": path, "stats": stats, "onsets_secs": onsets }));
    }
    Ok(())
}
