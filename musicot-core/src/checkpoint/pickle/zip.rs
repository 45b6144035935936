//! The central directory of a zip archive whose entries are stored, also one of more than 4 GB (zip64).

use std::collections::HashMap;
use std::ops::Range;

use super::input::Input;
use super::{Parsed, limits, shown};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// Bytes of the end record without its comment, of which there are 65535 at most.
const END_BYTES: usize = 22;
const LOCATOR_64_BYTES: usize = 20;
/// Kind of the extra field with the sizes that did not fit.
const EXTRA_64: u16 = 1;

/// Whether the first bytes are those of an archive with an entry, or without one.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    [LOCAL_HEADER, END].iter().any(|signature| bytes.starts_with(&signature.to_le_bytes()))
}

/// Name and place of every entry.
pub(super) fn entries(bytes: &[u8]) -> Parsed<HashMap<&str, Range<usize>>> {
    let directory = Directory::find(bytes)?;
    if directory.entries > limits::ENTRIES {
        return Err(format!("expected {} entries at most, got {}", limits::ENTRIES, directory.entries));
    }
    let mut input = Input::new(slice(bytes, directory.start, directory.bytes)?);
    let mut entries = HashMap::new();
    for _ in 0..directory.entries {
        let entry = Entry::read(&mut input).map_err(|e| format!("list of entries: {e}"))?;
        let place = entry.place(bytes).map_err(|e| format!("entry `{}`: {e}", shown(entry.name)))?;
        if entries.insert(entry.name, place).is_some() {
            return Err(format!("entry `{}` is there twice", shown(entry.name)));
        }
    }
    Ok(entries)
}

/// Where the list of entries is.
struct Directory {
    entries: u64,
    bytes: u64,
    start: u64,
}

impl Directory {
    fn find(bytes: &[u8]) -> Parsed<Self> {
        let end = find_end(bytes).ok_or("not a whole zip archive: its end record is missing")?;
        let mut input = Input::new(bytes.get(end + 10..).unwrap_or_default());
        let (entries, size, start) = (input.u16()?, input.u32()?, input.u32()?);
        if entries == u16::MAX || size == u32::MAX || start == u32::MAX {
            return Self::find_64(bytes, end).map_err(|e| format!("zip64 end record: {e}"));
        }
        Ok(Self { entries: entries.into(), bytes: size.into(), start: start.into() })
    }

    /// The record that stands in for an end record whose numbers are too small for the archive.
    fn find_64(bytes: &[u8], end: usize) -> Parsed<Self> {
        let locator = end.checked_sub(LOCATOR_64_BYTES).and_then(|at| bytes.get(at..end));
        let mut input = Input::new(locator.unwrap_or_default());
        expect_signature(input.u32()?, LOCATOR_64)?;
        input.take(4)?;
        let record = slice(bytes, input.u64()?, 56)?;
        let mut input = Input::new(record);
        expect_signature(input.u32()?, END_64)?;
        input.take(28)?;
        Ok(Self { entries: input.u64()?, bytes: input.u64()?, start: input.u64()? })
    }
}

/// The last end record whose comment reaches exactly to the end of the file.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(u16::MAX.into());
    (first..=last).rev().find(|at| {
        let mut input = Input::new(&bytes[*at..]);
        let is_end = input.u32().is_ok_and(|signature| signature == END) && input.take(16).is_ok();
        is_end && input.u16().is_ok_and(|comment| at + END_BYTES + usize::from(comment) == bytes.len())
    })
}

/// One line of the list.
struct Entry<'a> {
    name: &'a str,
    flags: u16,
    method: u16,
    packed: u64,
    size: u64,
    header: u64,
}

impl<'a> Entry<'a> {
    fn read(input: &mut Input<'a>) -> Parsed<Self> {
        expect_signature(input.u32()?, CENTRAL_HEADER)?;
        input.take(4)?;
        let (flags, method) = (input.u16()?, input.u16()?);
        input.take(8)?;
        let (packed, size) = (input.u32()?, input.u32()?);
        let (name, extra, comment) = (input.u16()?, input.u16()?, input.u16()?);
        input.take(8)?;
        let header = input.u32()?;
        let name = input.text(name)?;
        let extra = input.take(extra.into())?;
        input.take(comment.into())?;
        let mut wide = Wide::find(extra)?;
        // The order of the wide numbers: only those that did not fit are there.
        let (size, packed, header) = (wide.or(size)?, wide.or(packed)?, wide.or(header)?);
        Ok(Self { name, flags, method, packed, size, header })
    }

    /// The entry's bytes in the file, which must be there as they are.
    fn place(&self, bytes: &[u8]) -> Parsed<Range<usize>> {
        if self.flags & 1 != 0 {
            return Err("is encrypted, expected plain bytes".to_owned());
        }
        if self.method != 0 || self.packed != self.size {
            return Err("is compressed; expected stored bytes, as `torch.save` writes them".to_owned());
        }
        let mut input = Input::new(slice(bytes, self.header, 30)?);
        expect_signature(input.u32()?, LOCAL_HEADER)?;
        input.take(22)?;
        let before = 30 + u64::from(input.u16()?) + u64::from(input.u16()?);
        let start = self.header.checked_add(before).ok_or("its place is beyond the file")?;
        range(bytes, start, self.size)
    }
}

/// The extra field that holds what did not fit into 32 bits.
struct Wide<'a>(Input<'a>);

impl<'a> Wide<'a> {
    fn find(extra: &'a [u8]) -> Parsed<Self> {
        let mut input = Input::new(extra);
        while input.position() < extra.len() {
            let (kind, size) = (input.u16()?, input.u16()?);
            let field = input.take(size.into())?;
            if kind == EXTRA_64 {
                return Ok(Self(Input::new(field)));
            }
        }
        Ok(Self(Input::new(&[])))
    }

    fn or(&mut self, narrow: u32) -> Parsed<u64> {
        if narrow == u32::MAX { self.0.u64() } else { Ok(narrow.into()) }
    }
}

fn expect_signature(actual: u32, expected: u32) -> Parsed<()> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("expected the signature {expected:#010x}, got {actual:#010x}"))
}

fn range(bytes: &[u8], start: u64, count: u64) -> Parsed<Range<usize>> {
    let end = start.checked_add(count).filter(|end| *end <= bytes.len() as u64);
    let end =
        end.ok_or_else(|| format!("expected {count} bytes at {start}, the file has {}", bytes.len()))?;
    // No greater than the length of a slice.
    Ok(start as usize..end as usize)
}

fn slice(bytes: &[u8], start: u64, count: u64) -> Parsed<&[u8]> {
    Ok(&bytes[range(bytes, start, count)?])
}
