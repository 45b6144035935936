//! Files to 48 kHz mono. Units are seconds of audio.

use std::path::Path;

use musicot::codec::{AudioReader, Channels};

use crate::clock::Clock;
use crate::common::Outcome;

const RATE_HZ: u32 = 48_000;

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    for kind in ["flac", "ogg", "mp3", "m4a"] {
        let path = dir.join(format!("song.{kind}"));
        let secs = AudioReader::open(&path)?.read_all()?.duration_secs();
        clock.timed(&format!("musicot, {kind}"), secs, || {
            AudioReader::open(&path)?.with_target(RATE_HZ, Channels::Mono)?.read_all()?;
            Ok(())
        })?;
    }
    Ok(())
}
