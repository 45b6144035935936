//! Writes archives and pickles by hand, also such as no tool would.
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::path::PathBuf;

use tempfile::TempDir;

/// An entry of an archive, as the list at its end tells it.
pub struct Listed<'a> {
    pub name: &'a str,
    pub size: u64,
    pub header: u64,
    pub flags: u16,
    pub method: u16,
}

impl<'a> Listed<'a> {
    pub fn new(name: &'a str, size: u64, header: u64) -> Self {
        Self { name, size, header, flags: 0, method: 0 }
    }
}

/// What stands before an entry's bytes; the sizes are in the list alone.
pub fn local_header(name: &str) -> Vec<u8> {
    let mut out = b"PK\x03\x04".to_vec();
    out.extend([0; 22]);
    out.extend((name.len() as u16).to_le_bytes());
    out.extend([0; 2]);
    out.extend(name.as_bytes());
    out
}

/// The list of entries, which begins at `start`, and the end record. With `wide`, all numbers are in the zip64 places.
pub fn directory(entries: &[Listed<'_>], start: u64, wide: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let narrow = |value: u64| if wide { u32::MAX } else { value as u32 };
        out.extend(b"PK\x01\x02\0\0\0\0");
        out.extend(entry.flags.to_le_bytes());
        out.extend(entry.method.to_le_bytes());
        out.extend([0; 8]);
        out.extend(narrow(entry.size).to_le_bytes());
        out.extend(narrow(entry.size).to_le_bytes());
        out.extend((entry.name.len() as u16).to_le_bytes());
        out.extend((if wide { 28_u16 } else { 0 }).to_le_bytes());
        out.extend([0; 10]);
        out.extend(narrow(entry.header).to_le_bytes());
        out.extend(entry.name.as_bytes());
        if wide {
            out.extend([1, 0, 24, 0]);
            out.extend([entry.size, entry.size, entry.header].iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    let (count, size) = (entries.len() as u64, out.len() as u64);
    if wide {
        let record = start + size;
        out.extend(b"PK\x06\x06");
        out.extend([0; 20]);
        out.extend([count, count, size, start].iter().flat_map(|value| value.to_le_bytes()));
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(record.to_le_bytes());
        out.extend([1, 0, 0, 0]);
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([if wide { u16::MAX } else { count as u16 }; 2].iter().flat_map(|value| value.to_le_bytes()));
    out.extend([size, start].iter().flat_map(|v| (if wide { u32::MAX } else { *v as u32 }).to_le_bytes()));
    out.extend([0; 2]);
    out
}

/// An archive of stored entries.
pub fn zip(entries: &[(&str, &[u8])], wide: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut listed = Vec::new();
    for (name, content) in entries {
        listed.push(Listed::new(name, content.len() as u64, out.len() as u64));
        out.extend(local_header(name));
        out.extend(*content);
    }
    let start = out.len() as u64;
    out.extend(directory(&listed, start, wide));
    out
}

/// An archive with the opcodes between PROTO and STOP, and a storage `0` of 16 bytes.
pub fn torch_file(opcodes: &[u8]) -> Vec<u8> {
    let pickle = [b"\x80\x02", opcodes, b"."].concat();
    let storage: Vec<u8> = [1_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    zip(&[("x/data.pkl", &pickle), ("x/data/0", &storage)], false)
}

/// A file with this content, and the folder that removes it.
pub fn on_disk(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pt");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

pub fn integer(value: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat()
}

pub fn tuple(values: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), values.iter().copied().flat_map(integer).collect(), b"t".to_vec()].concat()
}

/// A float storage of `torch_file`, or whatever is claimed of it.
pub fn storage(class: &str, key: &str, elements: i64) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n");
    [
        b"(".to_vec(),
        text("storage"),
        class.into_bytes(),
        text(key),
        text("cpu"),
        integer(elements),
        b"tQ".to_vec(),
    ]
    .concat()
}

/// A tensor on a storage.
pub fn tensor_on(storage: &[u8], offset: i64, shape: &[i64], stride: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(),
        storage,
        &integer(offset),
        &tuple(shape),
        &tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A float tensor on the storage of `torch_file`.
pub fn tensor(offset: i64, shape: &[i64], stride: &[i64]) -> Vec<u8> {
    tensor_on(&storage("FloatStorage", "0", 4), offset, shape, stride)
}

/// A dict of the given opcodes for keys and values.
pub fn dict(items: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(key, value)| [key.as_slice(), value].concat()).collect();
    [b"}(".as_slice(), &items, b"u"].concat()
}

/// A dict with one tensor `w` of the opcodes.
pub fn only(tensor: Vec<u8>) -> Vec<u8> {
    dict(&[(text("w"), tensor)])
}

/// A tuple of lists, of which each holds the one before it twice.
pub fn laughs(levels: u8) -> Vec<u8> {
    let level = |level: u8| [b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e'];
    [b"(]q\x00".to_vec(), (1..=levels).flat_map(level).collect(), b"t".to_vec()].concat()
}
