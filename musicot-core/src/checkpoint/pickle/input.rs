//! Reading numbers and slices off bytes, front to back.

use super::Parsed;

/// What is left of some bytes.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let taken =
            left.get(..count).ok_or_else(|| format!("expected {count} more bytes, got {}", left.len()))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Parsed<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Parsed<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Parsed<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Parsed<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Text of a length that was read before.
    pub(super) fn text(&mut self, count: impl TryInto<usize>) -> Parsed<&'a str> {
        utf8(self.counted(count)?)
    }

    /// Bytes of a length that was read before.
    pub(super) fn counted(&mut self, count: impl TryInto<usize>) -> Parsed<&'a [u8]> {
        self.take(count.try_into().map_err(|_| "a length is beyond this machine's memory".to_owned())?)
    }

    /// Text up to a line feed, which is read too; a name is not longer than `most` bytes.
    pub(super) fn line(&mut self, most: usize) -> Parsed<&'a str> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let end = left.iter().take(most + 1).position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| format!("expected a name of {most} bytes at most and a line feed"))?;
        let line = utf8(self.take(end)?)?;
        self.at += 1;
        Ok(line)
    }
}

fn utf8(bytes: &[u8]) -> Parsed<&str> {
    std::str::from_utf8(bytes).map_err(|e| format!("a text is not UTF-8: {e}"))
}
