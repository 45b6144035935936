//! A file without the ID3v1 tag that may follow its audio.
//!
//! The tag is no part of any format it is appended to, and hides the end of the last flac frame.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// An ID3v1 tag is the last 128 bytes of a file and begins with these.
const TAG_BYTES: u64 = 128;
const TAG_MARK: &[u8; 3] = b"TAG";

/// The first `length` bytes of a file.
pub(super) struct Body {
    file: File,
    position: u64,
    length: u64,
}

impl Body {
    pub(super) fn new(mut file: File) -> Result<Self> {
        let mut length = file.metadata()?.len();
        if let Some(tag_start) = length.checked_sub(TAG_BYTES) {
            let mut mark = [0; 3];
            file.seek(SeekFrom::Start(tag_start))?;
            file.read_exact(&mut mark)?;
            if &mark == TAG_MARK {
                length = tag_start;
            }
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, position: 0, length })
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let wanted = (buffer.len() as u64).min(left) as usize;
        let read = self.file.read(&mut buffer[..wanted])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Body {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let target = target.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        self.position = self.file.seek(SeekFrom::Start(target))?;
        Ok(self.position)
    }
}

impl MediaSource for Body {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
