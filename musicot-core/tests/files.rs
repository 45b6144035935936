//! Files are whole or absent.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::io::{Error as IoError, Write};

use musicot_core::Error;
use musicot_core::files::{read_json, write_atomic, write_json};

fn names(folder: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_failing_writer_leaves_nothing_and_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("song.txt");
    let fail = |file: &mut std::io::BufWriter<&mut std::fs::File>| {
        file.write_all(b"half")?;
        Err(IoError::other("the pen broke"))
    };
    let error = write_atomic(&path, fail).unwrap_err();
    assert!(error.to_string().contains("song.txt") && error.to_string().contains("the pen broke"), "{error}");
    assert!(names(folder.path()).is_empty());

    write_atomic(&path, |file| file.write_all(b"old")).unwrap();
    assert!(write_atomic(&path, fail).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["song.txt"]);
}

#[test]
fn a_writer_that_panics_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let caught = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("in the writer")));
    assert!(caught.is_err() && names(folder.path()).is_empty());
}

#[test]
fn folders_are_made_and_impossible_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.json");
    write_json(&path, &vec![1, 2]).unwrap();
    assert_eq!(read_json::<Vec<i32>>(&path).unwrap(), [1, 2]);
    // A file cannot hold files, whoever runs the test.
    let below = path.join("d.json");
    for result in [write_json(&below, &1), write_atomic(folder.path(), |_| Ok(()))] {
        assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    }
    assert_eq!(names(folder.path()), ["a"]);
    assert_eq!(names(&folder.path().join("a/b")), ["c.json"]);
}

#[cfg(unix)]
#[test]
fn files_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    write_atomic(&path, |_| Ok(())).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn broken_json_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    std::fs::write(&path, "{\n  \"a\": 1,\n}").unwrap();
    let error = read_json::<serde_json::Value>(&path).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    assert!(error.to_string().contains("x.json") && error.to_string().contains("line 3"), "{error}");
    assert!(matches!(read_json::<i32>(folder.path().join("no")), Err(Error::Io { .. })));
}
