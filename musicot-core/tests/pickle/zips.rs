//! Archives, whole, odd and damaged.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use musicot_core::Checkpoint;
use musicot_core::tensor::to_vec;

use crate::archive::{Listed, directory, local_header, on_disk, only, storage, tensor, tensor_on, zip};
use crate::refusal;

fn pickle() -> Vec<u8> {
    [b"\x80\x02".to_vec(), only(tensor(0, &[2], &[1])), b".".to_vec()].concat()
}

fn values() -> Vec<u8> {
    [5_f32, 6.0, 7.0, 8.0].iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn any_prefix_and_either_size_of_numbers_will_do() {
    for prefix in ["", "archive/", "a/b/", "ä/"] {
        for wide in [false, true] {
            let names = ["data.pkl", "data/0", "version"].map(|name| format!("{prefix}{name}"));
            let content = zip(&[(&names[0], &pickle()), (&names[1], &values()), (&names[2], b"3\n")], wide);
            let (_folder, path) = on_disk(&content);
            let checkpoint = Checkpoint::open(&path).unwrap();
            assert_eq!(to_vec(&checkpoint.tensor("w").unwrap()).unwrap(), [5.0, 6.0], "{prefix} {wide}");
        }
    }
}

#[test]
fn a_comment_may_hold_another_end_record() {
    let mut content = zip(&[("data.pkl", &pickle()), ("data/0", &values())], false);
    let comment = [b"PK\x05\x06".as_slice(), &[0; 40]].concat();
    let end = content.len();
    content[end - 2..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    content.extend(comment);
    let (_folder, path) = on_disk(&content);
    assert_eq!(Checkpoint::open(&path).unwrap().names(), ["w"]);
}

#[test]
fn odd_archives_are_named() {
    let (pickle, values) = (pickle(), values());
    let plain: [(&str, &[u8]); 2] = [("x/data.pkl", &pickle), ("x/data/0", &values)];
    let with =
        |name: &'static str, content: &'static [u8]| zip(&[plain[0], plain[1], (name, content)], false);
    let cases = [
        (zip(&plain[1..], false), "without `data.pkl`"),
        (zip(&[], false), "without `data.pkl`"),
        (with("y/data.pkl", b""), "holds `x/data.pkl` and `y/data.pkl`"),
        (with("x/data/0", b""), "`x/data/0` is there twice"),
        (with("x/constants.pkl", b""), "TorchScript"),
        (with("x/code/a.py", b""), "TorchScript"),
        (with("x/byteorder", b"b\x1b"), r"expected `little`, got `b\u{1b}`"),
        (zip(&[("x/data.pkl", b""), plain[1]], false), "`x/data.pkl`, byte 0: expected 1 more bytes, got 0"),
        (b"PK\x03\x04".to_vec(), "end record is missing"),
        (b"\x80\x04\x95".to_vec(), "plain pickle"),
    ];
    for (content, expected) in cases {
        let message = refusal(&content);
        assert!(message.contains(expected), "{message}");
    }
}

/// Makes a line of the list wrong.
type Change = fn(&mut Listed<'_>);

#[test]
fn lists_that_lie_are_refused() {
    let header = local_header("data.pkl");
    let listed = |change: Change, wide| {
        let mut entry = Listed::new("data.pkl", 4, 0);
        change(&mut entry);
        let body = [header.as_slice(), b"\x80\x02}."].concat();
        [body.as_slice(), &directory(&[entry], body.len() as u64, wide)].concat()
    };
    assert!(refusal(&listed(|entry| entry.name = "x", false)).contains("without `data.pkl`"));
    for wide in [false, true] {
        let (_folder, path) = on_disk(&listed(|_| {}, wide));
        assert!(Checkpoint::open(path).unwrap().names().is_empty());
        let cases: [(Change, &str); 5] = [
            (|entry| entry.flags = 1, "encrypted"),
            (|entry| entry.method = 8, "compressed"),
            (|entry| entry.size = 1 << 20, "expected 1048576 bytes at 38"),
            (|entry| entry.header = 1, "expected the signature"),
            (|entry| entry.header = 1 << 20, "expected 30 bytes at 1048576"),
        ];
        for (change, expected) in cases {
            let message = refusal(&listed(change, wide));
            assert!(message.contains("entry `data.pkl`: ") && message.contains(expected), "{message}");
        }
    }
    let beyond: [Change; 2] = [|entry| entry.size = u64::MAX, |entry| entry.header = u64::MAX];
    for change in beyond {
        assert!(refusal(&listed(change, true)).contains("the file has"));
    }
    // An end record that places the list elsewhere, and a zip64 one that is not there.
    let whole = listed(|_| {}, false);
    for (at, value) in [(6, 0xff_u8), (10, 0xff), (12, 2)] {
        let mut broken = whole.clone();
        let place = broken.len() - at;
        broken[place] = value;
        refusal(&broken);
    }
    let mut narrow = whole;
    let count = narrow.len() - 12;
    narrow[count..count + 2].fill(0xff);
    assert!(refusal(&narrow).contains("zip64 end record"));
}

/// The file has a hole of 4 GiB, which takes no room on the disk.
#[cfg(target_pointer_width = "64")]
#[test]
fn archives_of_more_than_4_gib_are_read() {
    let elements = (1_i64 << 30) + 4;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pt");
    let mut file = File::create(&path).unwrap();
    let header = local_header("x/data/0");
    file.write_all(&header).unwrap();
    let pickle_at = header.len() as u64 + elements as u64 * 4;
    file.seek(SeekFrom::Start(pickle_at - 16)).unwrap();
    file.write_all(&values()).unwrap();
    let last = tensor_on(&storage("FloatStorage", "0", elements), elements - 4, &[2, 2], &[1, 2]);
    let pickle = [b"\x80\x02".to_vec(), only(last), b".".to_vec()].concat();
    file.write_all(&local_header("x/data.pkl")).unwrap();
    file.write_all(&pickle).unwrap();
    let start = file.stream_position().unwrap();
    let entries = [
        Listed::new("x/data/0", elements as u64 * 4, 0),
        Listed::new("x/data.pkl", pickle.len() as u64, pickle_at),
    ];
    file.write_all(&directory(&entries, start, true)).unwrap();
    drop(file);
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(to_vec(&checkpoint.tensor("w").unwrap()).unwrap(), [5.0, 7.0, 6.0, 8.0]);
}
