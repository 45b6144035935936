//! From notes to sound: each part alone, levelled by program, then mixed.

mod level;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use crate::error::{Error, Result};
use crate::family::{Family, Program};
use crate::midi::{DRUM_CHANNEL, Stroke, note_events};
use crate::piece::{Piece, Role, SAMPLE_RATE_HZ, ticks_to_secs};
use level::{active_rms, fade_out, high_pass, peak, reference_part};

/// Loudness of every mix: RMS of its sounding parts, -18 dB of full scale.
const TARGET_RMS: f32 = 0.126;
/// No mix goes beyond -1 dB of full scale.
const TARGET_PEAK: f32 = 0.891;
/// Loudness to which the reference phrase of every program is brought, before the gain of the role.
const REFERENCE_RMS: f32 = 0.1;
/// The end of every part fades out over this time.
const FADE_SECS: f64 = 0.3;
/// Programs 0 to 127 of bank 0, then those of the drum bank.
const PROGRAMS: usize = 256;

/// The sound of a piece, 48 kHz mono.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// All parts together.
    pub mix: Vec<f32>,
    /// Each part alone, in the order of the piece's parts, at its level in the mix: they sum up to it.
    pub stems: Vec<Vec<f32>>,
}

/// Renders pieces through a General MIDI soundfont; shared by all threads.
pub struct Renderer {
    soundfont: Arc<SoundFont>,
    /// RMS of each program's reference phrase, measured when first needed.
    loudness: Vec<OnceLock<f32>>,
}

impl Renderer {
    /// Reads a soundfont.
    ///
    /// # Errors
    /// When the file cannot be read or is no SoundFont 2.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
        let soundfont = SoundFont::new(&mut BufReader::new(file))
            .map_err(|source| Error::SoundFont { path: path.to_path_buf(), source })?;
        let loudness = (0..PROGRAMS).map(|_| OnceLock::new()).collect();
        Ok(Self { soundfont: Arc::new(soundfont), loudness })
    }

    /// Renders all parts and mixes them.
    ///
    /// # Errors
    /// When a program of the piece is silent in this soundfont.
    pub fn render(&self, piece: &Piece) -> Result<Mix> {
        let mut stems = Vec::with_capacity(piece.parts.len());
        for part in &piece.parts {
            let level = REFERENCE_RMS / self.reference_rms(part.family, part.program)?;
            let mut stem = self.sound(&Sheet::of(part, piece.tempo_bpm), piece.frames())?;
            fade_out(&mut stem, (FADE_SECS * f64::from(SAMPLE_RATE_HZ)) as usize);
            scale(&mut stem, level * role_gain(part.role));
            stems.push(stem);
        }
        let mut mix = sum(&stems, piece.frames());
        let gain = (TARGET_RMS / active_rms(&mix).max(1e-6)).min(TARGET_PEAK / peak(&mix).max(1e-6));
        scale(&mut mix, gain);
        stems.iter_mut().for_each(|stem| scale(stem, gain));
        Ok(Mix { mix, stems })
    }

    /// RMS of a program's reference phrase, measured once.
    fn reference_rms(&self, family: Family, program: &'static Program) -> Result<f32> {
        let slot = usize::from(program.number) + if family == Family::Drums { 128 } else { 0 };
        let cell = self.loudness.get(slot);
        if let Some(known) = cell.and_then(|cell| cell.get()) {
            return Ok(*known);
        }
        let (part, tempo_bpm, frames) = reference_part(family, program);
        let rms = active_rms(&self.sound(&Sheet::of(&part, tempo_bpm), frames)?);
        if rms < 1e-5 {
            let kind = if family == Family::Drums { "drum kit" } else { "melodic" };
            return Err(Error::SilentProgram { program: program.number, kind });
        }
        Ok(cell.map_or(rms, |cell| *cell.get_or_init(|| rms)))
    }

    /// One part, dry (reverb and chorus off), high-passed at 25 Hz.
    fn sound(&self, sheet: &Sheet, frames: usize) -> Result<Vec<f32>> {
        let mut settings = SynthesizerSettings::new(SAMPLE_RATE_HZ as i32);
        settings.enable_reverb_and_chorus = false;
        settings.maximum_polyphony = 96;
        let mut synth = Synthesizer::new(&self.soundfont, &settings)?;
        let channel = i32::from(sheet.channel);
        synth.process_midi_message(channel, 0xC0, i32::from(sheet.program), 0);
        let mut samples = Vec::with_capacity(frames);
        let mut scratch = (Vec::new(), Vec::new());
        for (frame, strokes) in &sheet.strokes {
            play_until((*frame).min(frames), &mut synth, &mut scratch, &mut samples);
            for stroke in strokes {
                match stroke.velocity {
                    0 => synth.note_off(channel, i32::from(stroke.key)),
                    velocity => synth.note_on(channel, i32::from(stroke.key), i32::from(velocity)),
                }
            }
        }
        play_until(frames, &mut synth, &mut scratch, &mut samples);
        high_pass(&mut samples);
        Ok(samples)
    }
}

/// Renders up to a frame, both channels averaged.
fn play_until(
    frame: usize,
    synth: &mut Synthesizer,
    (left, right): &mut (Vec<f32>, Vec<f32>),
    samples: &mut Vec<f32>,
) {
    let count = frame.saturating_sub(samples.len());
    left.resize(count, 0.0);
    right.resize(count, 0.0);
    synth.render(left, right);
    samples.extend(left.iter().zip(right.iter()).map(|(l, r)| 0.5 * (l + r)));
}

/// What the synthesiser needs of a part: its strokes by sample.
struct Sheet {
    channel: u8,
    program: u8,
    strokes: Vec<(usize, Vec<Stroke>)>,
}

impl Sheet {
    fn of(part: &crate::piece::Part, tempo_bpm: u32) -> Self {
        let frame = |tick| (ticks_to_secs(tick, tempo_bpm) * f64::from(SAMPLE_RATE_HZ)).round() as usize;
        Self {
            channel: if part.family == Family::Drums { DRUM_CHANNEL } else { 0 },
            program: part.program.number,
            strokes: note_events(part).into_iter().map(|(tick, strokes)| (frame(tick), strokes)).collect(),
        }
    }
}

/// The level of a role in the mix (our choice): the tune in front, long chords behind.
fn role_gain(role: Role) -> f32 {
    match role {
        Role::Solo | Role::Melody => 1.0,
        Role::Drums => 0.85,
        Role::Bass => 0.8,
        Role::Counter | Role::Arpeggio => 0.55,
        // Three or four notes at once are already some 5 dB louder than one.
        Role::Chords => 0.45,
        Role::Pad => 0.35,
    }
}

fn scale(samples: &mut [f32], gain: f32) {
    samples.iter_mut().for_each(|sample| *sample *= gain);
}

fn sum(stems: &[Vec<f32>], frames: usize) -> Vec<f32> {
    let mut mix = vec![0.0; frames];
    for stem in stems {
        for (total, sample) in mix.iter_mut().zip(stem) {
            *total += sample;
        }
    }
    mix
}
