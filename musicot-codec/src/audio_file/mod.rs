//! Reading audio files (wav, flac, ogg vorbis, mp3, m4a with AAC-LC or ALAC) and writing wav.
//!
//! - [`read_audio`] decodes a whole file; [`AudioReader`] decodes it in blocks, in memory that does not grow with the
//!   length of the file, on request at another sample rate and channel count.
//! - [`write_wav`] and [`WavWriter`] write 16-bit, 24-bit and 32-bit float wav, atomically.
//!
//! # What is decoded
//! The format is recognised by the content, never by the name. Samples that an encoder added before and after the audio
//! (delay and padding of mp3, vorbis and AAC) are cut off where the file says how many they are: an mp3 does in its
//! LAME tag, an m4a in its edit list or `iTunSMPB` tag. Integers are scaled so that full scale is 1: `n`-bit samples are divided by
//! 2^(n-1). Float samples are kept as they are, also beyond full scale; NaN and infinities are refused.
//!
//! # Damage
//! A packet that cannot be decoded becomes silence of its length, so that the audio after it keeps its time. Up to
//! [`Tolerance::damaged_packets`] of them are accepted and counted in [`AudioReader::report`]; one more is
//! [`Error::Damaged`](crate::Error::Damaged). An mp3 frame whose header is destroyed is never seen, and what follows it comes
//! earlier; an mp3 with a LAME tag may therefore end that many packets before its announced length. Bytes after the announced end
//! are ignored.
//!
//! Any other file that ends early (by its wav or flac header, its LAME tag, an ogg without its last page, an m4a cut off within
//! its data or tables) is [`Error::Truncated`](crate::Error::Truncated), unless [`Tolerance::truncation`] allows it. An mp3
//! without a LAME tag announces no length: it ends with its last whole frame.
//!
//! The decoding library panics on some malformed files. Such a panic is caught (its message goes to the panic hook)
//! and becomes [`Error::Damaged`](crate::Error::Damaged).
//!
//! # Not decoded
//! HE-AAC, AAC and mp3 with more than two channels, Opus, compressed wav, chained ogg streams, files whose
//! sample rate or channels change on the way, and edit lists with more than one part: these are
//! [`Error::Unsupported`](crate::Error::Unsupported), except the last, of which the whole media is decoded.

mod body;
mod channels;
mod mp4_edits;
mod open;
mod reader;
mod source;
mod tolerance;
mod wav;

pub use channels::Channels;
pub use reader::{AudioInfo, AudioReader, read_audio};
pub use tolerance::{DecodeReport, Tolerance};
pub use wav::{WavFormat, WavOptions, WavReport, WavWriter, write_wav};
