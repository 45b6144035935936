//! Recognising a file and choosing its decoder.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::body::Body;
use super::channels::MAX_CHANNELS;
use super::mp4_edits::{Edit, ends_within_a_box, find_edit, parse_itunes_gap};
use crate::{Error, Result};

/// A recognised file, ready to be decoded.
pub(super) struct Opened {
    pub(super) format: Box<dyn FormatReader>,
    pub(super) decoder: Box<dyn AudioDecoder>,
    pub(super) track_id: u32,
    /// Ticks of packet durations per second.
    pub(super) ticks_per_sec: f64,
    pub(super) container: &'static str,
    pub(super) codec: &'static str,
    /// Decoded frames before the audio.
    pub(super) skip_frames: u64,
    /// Frames of audio that the file announces, after `skip_frames`.
    pub(super) declared_frames: Option<u64>,
    /// The container shows that the file is cut off: an ogg without its last page, an m4a that ends within a box.
    pub(super) lost_its_end: bool,
}

/// Runs a piece of a demultiplexer or decoder. On some malformed files these panic (on an overflow or an index); to a
/// caller that is damage like any other. The reader is not used again after it.
pub(super) fn guarded<T>(path: &Path, at_secs: f64, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let reason = "the decoder cannot cope with this data".to_owned();
        Err(Error::Damaged { path: path.to_owned(), at_secs, reason })
    })
}

pub(super) fn open(path: &Path) -> Result<Opened> {
    guarded(path, 0.0, || open_unguarded(path))
}

fn open_unguarded(path: &Path) -> Result<Opened> {
    let mut format = probe(path)?;
    let container = format.format_info().short_name;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| {
            Error::unsupported(path, format!("no decodable audio track in this {container} file"))
        })?
        .clone();
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio())
        .ok_or_else(|| Error::unsupported(path, "unknown codec"))?;
    if let Some(count) =
        params.channels.as_ref().map(|channels| channels.count()).filter(|n| *n > MAX_CHANNELS)
    {
        return Err(Error::unsupported(path, format!("{count} channels (at most {MAX_CHANNELS} are read)")));
    }
    let span = audio_span(path, format.as_mut(), container, &track, params);
    let options = AudioDecoderOptions::default().gapless(span.trimmed_by_decoder);
    let decoder =
        symphonia::default::get_codecs().make_audio_decoder(params, &options).map_err(|e| match e {
            SymphoniaError::Unsupported(reason) => {
                let known = "PCM, FLAC, Vorbis, MP3, AAC-LC (mono, stereo) and ALAC";
                Error::unsupported(
                    path,
                    format!("the codec of this {container} file is none of {known} ({reason})"),
                )
            }
            other => translate(path, 0.0, other),
        })?;
    let codec = decoder.codec_info().short_name;
    let ticks_per_sec = match track.time_base {
        Some(base) => f64::from(base.denom.get()) / f64::from(base.numer.get()),
        None => params.sample_rate.map_or(1.0, f64::from),
    };
    Ok(Opened {
        track_id: track.id,
        ticks_per_sec,
        container,
        codec,
        skip_frames: span.skip_frames,
        declared_frames: span.declared_frames,
        lost_its_end: match container {
            "ogg" => track.num_frames.is_none(),
            "isomp4" => ends_within_a_box(path),
            _ => false,
        },
        format,
        decoder,
    })
}

fn probe(path: &Path) -> Result<Box<dyn FormatReader>> {
    let io = |e: std::io::Error| Error::Core(musicot_core::Error::io(path)(e));
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(Error::not_audio(path, "it is a directory"));
    }
    if !metadata.is_file() {
        return Err(Error::not_audio(path, "it is no regular file"));
    }
    if metadata.len() == 0 {
        return Err(Error::not_audio(path, "the file is empty (0 bytes)"));
    }
    let body = Body::new(file).map_err(io)?;
    let stream = MediaSourceStream::new(Box::new(body), Default::default());
    // Pictures are never looked at, so none is kept.
    let tags = MetadataOptions::default().limit_visual_bytes(Limit::Maximum(0));
    symphonia::default::get_probe().probe(&Hint::new(), stream, FormatOptions::default(), tags).map_err(|e| {
        match e {
            SymphoniaError::Unsupported(reason) if reason.contains("no suitable format reader") => {
                Error::not_audio(path, "no wav, flac, ogg, mp3 or m4a data found in it")
            }
            _ if ends_within_a_box(path) => {
                Error::Truncated { path: path.to_owned(), declared_secs: None, decoded_secs: 0.0 }
            }
            other => translate(path, 0.0, other),
        }
    })
}

/// Says in this crate's terms what went wrong after `at_secs` of audio.
pub(super) fn translate(path: &Path, at_secs: f64, error: SymphoniaError) -> Error {
    let damaged = |reason: &str| Error::Damaged { path: path.to_owned(), at_secs, reason: reason.to_owned() };
    match error {
        SymphoniaError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { path: path.to_owned(), declared_secs: None, decoded_secs: at_secs }
        }
        // Reading past the bounds of a packet is reported as an input error of kind `Other`.
        SymphoniaError::IoError(e) if e.raw_os_error().is_none() => damaged(&e.to_string()),
        SymphoniaError::IoError(e) => Error::Core(musicot_core::Error::io(path)(e)),
        SymphoniaError::DecodeError(reason) | SymphoniaError::LimitError(reason) => damaged(reason),
        SymphoniaError::Unsupported(reason) => Error::unsupported(path, reason),
        SymphoniaError::ResetRequired => {
            Error::unsupported(path, format!("another stream begins at {at_secs:.3} s (a chained file)"))
        }
        other => damaged(&other.to_string()),
    }
}

/// Which of the decoded frames are the audio.
struct Span {
    skip_frames: u64,
    declared_frames: Option<u64>,
    /// Whether the decoder itself drops delay and padding.
    trimmed_by_decoder: bool,
}

fn audio_span(
    path: &Path,
    format: &mut dyn FormatReader,
    container: &str,
    track: &Track,
    params: &AudioCodecParameters,
) -> Span {
    match container {
        "isomp4" => m4a_span(path, format, track, params),
        // Without a LAME tag the length is an estimate from the file's size, and must cut nothing.
        "mp3" if track.delay.is_none() => {
            Span { skip_frames: 0, declared_frames: None, trimmed_by_decoder: false }
        }
        _ => {
            let start = u64::try_from(track.start_ts.get()).unwrap_or(0);
            let declared_frames = track.num_frames.map(|frames| frames.saturating_sub(start));
            Span { skip_frames: 0, declared_frames, trimmed_by_decoder: true }
        }
    }
}

fn m4a_span(
    path: &Path,
    format: &mut dyn FormatReader,
    track: &Track,
    params: &AudioCodecParameters,
) -> Span {
    // A fragmented file has no sample table to add up, and says 0.
    let media_ticks = track.duration.map(|duration| duration.get()).filter(|ticks| *ticks > 0);
    let ticks_per_sec = track.time_base.map(|base| u64::from(base.denom.get() / base.numer.get()));
    let to_frames = |ticks: u64| match (params.sample_rate, ticks_per_sec) {
        (Some(rate), Some(per_sec)) if per_sec > 0 => {
            (u128::from(ticks) * u128::from(rate) / u128::from(per_sec)) as u64
        }
        _ => ticks,
    };
    let edit = itunes_gap(format).or_else(|| {
        let edit = find_edit(path, track.id, media_ticks)?;
        Some(Edit { start: to_frames(edit.start), length: edit.length.map(to_frames) })
    });
    let edit = edit.unwrap_or(Edit { start: 0, length: media_ticks.map(to_frames) });
    Span { skip_frames: edit.start, declared_frames: edit.length, trimmed_by_decoder: true }
}

fn itunes_gap(format: &mut dyn FormatReader) -> Option<Edit> {
    let mut metadata = format.metadata();
    let tags = &metadata.skip_to_latest()?.media.tags;
    let tag = tags.iter().find(|tag| tag.raw.key.ends_with("iTunSMPB"))?;
    parse_itunes_gap(&tag.raw.value.to_string())
}
