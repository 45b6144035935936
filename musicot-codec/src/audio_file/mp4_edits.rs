//! Which part of an m4a's media is the audio: the edit list (ISO/IEC 14496-12, section 8.6.6) and the `iTunSMPB` tag.
//!
//! AAC encoders put a delay of 1024 or more samples before the audio and fill up its last packet. The demultiplexer hands out
//! all of it; what is meant to be heard is said here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A part of the media, in ticks of the track's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) start: u64,
    /// Absent where all the rest is meant.
    pub(super) length: Option<u64>,
}

/// Largest header that is looked at (our choice; the sample tables of ten hours take about 8 MiB).
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// The single edit of a track; `None` where there is no usable one.
///
/// `media_ticks` is the length of the track's media. A length that differs from the media's end by no more than the
/// coarse ticks in which edit lists count (often 1 ms) is taken for that end.
pub(super) fn find_edit(path: &Path, track_id: u32, media_ticks: Option<u64>) -> Option<Edit> {
    let movie = read_movie_box(&mut File::open(path).ok()?)?;
    let movie_scale = timescale(find(&movie, b"mvhd")?)?;
    let track = boxes(&movie)
        .filter(|(name, _)| name == b"trak")
        .map(|(_, track)| track)
        .find(|track| find(track, b"tkhd").and_then(header_track_id) == Some(track_id))?;
    let media_scale = timescale(find(find(track, b"mdia")?, b"mdhd")?)?;
    let (start, movie_length) = single_edit(find(find(track, b"edts")?, b"elst")?)?;
    let to_media =
        |ticks: u64| (u128::from(ticks) * u128::from(media_scale) / u128::from(movie_scale)) as u64;
    let length = (movie_length > 0).then(|| to_media(movie_length));
    let coarse = to_media(1).saturating_add(1);
    let length = match (length, media_ticks) {
        (Some(length), Some(media)) if start.saturating_add(length).saturating_add(coarse) >= media => {
            Some(media.saturating_sub(start))
        }
        (None, Some(media)) => Some(media.saturating_sub(start)),
        (length, _) => length,
    };
    Some(Edit { start, length })
}

/// Reads the text of an `iTunSMPB` tag: hexadecimal words, of which the second is the delay, the third the padding and
/// the fourth the length, all in samples.
pub(super) fn parse_itunes_gap(text: &str) -> Option<Edit> {
    let mut words = text.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok());
    let start = words.nth(1)??;
    let length = words.nth(1)??;
    (length > 0).then_some(Edit { start, length: Some(length) })
}

/// Whether a file is an m4a and ends before a box of its audio or tables does. (Foreign bytes at its end may look like some
/// other box.)
pub(super) fn ends_within_a_box(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { return false };
    let mut position = 0;
    let mut first = true;
    while let Some(found) = top_box(&mut file, position) {
        if first && &found.name != b"ftyp" {
            return false;
        }
        first = false;
        let end = position.saturating_add(found.bytes);
        if end > length {
            return matches!(&found.name, b"mdat" | b"moov" | b"moof");
        }
        position = end;
    }
    false
}

fn read_movie_box(file: &mut File) -> Option<Vec<u8>> {
    let mut position = 0;
    loop {
        let found = top_box(file, position)?;
        if &found.name == b"moov" {
            let body_bytes = found.bytes - found.header_bytes;
            if body_bytes > MAX_HEADER_BYTES {
                return None;
            }
            let mut body = Vec::new();
            file.take(body_bytes).read_to_end(&mut body).ok()?;
            return Some(body);
        }
        position = position.checked_add(found.bytes)?;
    }
}

/// A box of the file itself; its size includes its header.
struct TopBox {
    name: [u8; 4],
    bytes: u64,
    header_bytes: u64,
}

/// The box at a position, with the file left after its header. A size of 0 stands for "to the end of the file": then nothing
/// follows, and there is none.
fn top_box(file: &mut File, position: u64) -> Option<TopBox> {
    file.seek(SeekFrom::Start(position)).ok()?;
    let mut head = [0; 16];
    file.read_exact(&mut head[..8]).ok()?;
    let (mut bytes, mut header_bytes) = (u64::from(be32(&head, 0)?), 8);
    if bytes == 1 {
        file.read_exact(&mut head[8..]).ok()?;
        (bytes, header_bytes) = (be64(&head, 8)?, 16);
    }
    let name = head[4..8].try_into().ok()?;
    (bytes >= header_bytes).then_some(TopBox { name, bytes, header_bytes })
}

/// The boxes that follow one another in `bytes`, up to the first malformed one.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = be32(bytes, 0)? as usize;
        let name: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let body = bytes.get(8..size)?;
        bytes = bytes.get(size..)?;
        Some((name, body))
    })
}

fn find<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| found == name).map(|(_, body)| body)
}

/// Ticks per second out of a movie or media header, never 0.
fn timescale(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    be32(header, at).filter(|scale| *scale > 0)
}

fn header_track_id(header: &[u8]) -> Option<u32> {
    be32(header, if header.first()? == &1 { 20 } else { 12 })
}

/// Start in media ticks and length in movie ticks of the only entry that shows media; entries before it that
/// show nothing (start -1) merely delay it and are passed over.
fn single_edit(list: &[u8]) -> Option<(u64, u64)> {
    let wide = list.first()? == &1;
    let entry_bytes = if wide { 20 } else { 12 };
    let entries = list.get(8..)?.chunks_exact(entry_bytes).take(be32(list, 4)? as usize);
    let mut shown = entries.filter_map(|entry| {
        let (length, start) = if wide {
            (be64(entry, 0)?, be64(entry, 8)? as i64)
        } else {
            (u64::from(be32(entry, 0)?), i64::from(be32(entry, 4)? as i32))
        };
        Some((u64::try_from(start).ok()?, length))
    });
    let only = shown.next()?;
    shown.next().is_none().then_some(only)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn a_box(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), &name[..], body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A header with one track (id 7, 48 000 ticks per second; the movie counts 1000) and the given edits.
    fn movie_file(edits: &[(u32, i32)]) -> tempfile::NamedTempFile {
        let mut list = words(&[0, edits.len() as u32]);
        for (length, start) in edits {
            list.extend(words(&[*length, *start as u32, 0x10000]));
        }
        let track = [
            a_box(b"tkhd", &words(&[0, 0, 0, 7])),
            a_box(b"edts", &a_box(b"elst", &list)),
            a_box(b"mdia", &a_box(b"mdhd", &words(&[0, 0, 0, 48_000]))),
        ]
        .concat();
        let movie = [a_box(b"mvhd", &words(&[0, 0, 0, 1000])), a_box(b"trak", &track)].concat();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[a_box(b"ftyp", b"M4A "), a_box(b"moov", &movie)].concat()).unwrap();
        file
    }

    #[test]
    fn one_edit_gives_start_and_length() {
        let file = movie_file(&[(500, 1024)]);
        let edit = find_edit(file.path(), 7, Some(96_000));
        assert_eq!(edit, Some(Edit { start: 1024, length: Some(24_000) }));
        assert_eq!(find_edit(file.path(), 8, Some(96_000)), None, "another track");
    }

    #[test]
    fn a_length_within_a_tick_of_the_end_is_the_end() {
        let file = movie_file(&[(500, 1024)]);
        let edit = find_edit(file.path(), 7, Some(1024 + 24_030));
        assert_eq!(edit, Some(Edit { start: 1024, length: Some(24_030) }));
    }

    #[test]
    fn a_pause_before_the_edit_is_passed_over_and_two_edits_are_not_used() {
        let paused = movie_file(&[(100, -1), (500, 2112)]);
        assert_eq!(find_edit(paused.path(), 7, None), Some(Edit { start: 2112, length: Some(24_000) }));
        let cut = movie_file(&[(100, 0), (500, 9000)]);
        assert_eq!(find_edit(cut.path(), 7, None), None);
    }

    #[test]
    fn gap_tag() {
        let tag = " 00000000 00000840 000001CA 00000000003F31F6 00000000";
        assert_eq!(parse_itunes_gap(tag), Some(Edit { start: 0x840, length: Some(0x3F_31F6) }));
        assert_eq!(parse_itunes_gap("00000000 zz"), None);
        assert_eq!(parse_itunes_gap(""), None);
    }
}
