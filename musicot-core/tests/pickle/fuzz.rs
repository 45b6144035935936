//! Damaged and random files give errors or other values, never a panic.

use std::path::Path;
use std::sync::OnceLock;

use musicot_core::Checkpoint;
use proptest::prelude::*;

use crate::archive::{only, storage, tensor, text, torch_file};
use crate::golden_folder;

/// PyTorch's own files, by name.
fn files() -> &'static [Vec<u8>] {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let entries = std::fs::read_dir(golden_folder()).unwrap().map(|entry| entry.unwrap().path());
        let is_torch =
            |path: &Path| path.extension().is_some_and(|end| end == "pt" || end == "pth" || end == "bin");
        let mut paths: Vec<_> = entries.filter(|path| is_torch(path)).collect();
        paths.sort();
        assert!(paths.len() > 10);
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    })
}

/// Opens, lists and reads whatever is there.
fn read_all(content: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let Ok(checkpoint) = Checkpoint::open(file.path()) else { return false };
    for name in checkpoint.names() {
        let info = checkpoint.info(&name).unwrap();
        let tensor = checkpoint.tensor(&name).unwrap();
        assert_eq!((info.shape, info.kind), (tensor.size(), tensor.kind()));
    }
    let _ = checkpoint.metadata();
    true
}

/// Globals that are allowed.
const GLOBALS: [&str; 8] = [
    "torch._utils\n_rebuild_tensor_v2",
    "collections\nOrderedDict",
    "torch\nSize",
    "numpy\ndtype",
    "numpy.core.multiarray\nscalar",
    "_codecs\nencode",
    "torch\nFloatStorage",
    "torch._utils\n_rebuild_parameter",
];

/// Pieces of pickles that fit together now and then.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let opcodes: &[u8] = b"]})(t\x85\x86\x87asueN\x88\x89R\x93bQ\x94";
    prop_oneof![
        8 => prop::sample::select(opcodes).prop_map(|opcode| vec![opcode]),
        3 => (0..8_u8).prop_map(|number| vec![b'K', number]),
        3 => (0..12_u8).prop_map(|key| vec![b'h', key]),
        1 => (0..12_u8).prop_map(|key| vec![b'q', key]),
        2 => prop::sample::select(&GLOBALS[..]).prop_map(|name| format!("c{name}\n").into_bytes()),
        2 => prop::sample::select(&["w", "storage", "latin1", "f8", "state_dict"][..]).prop_map(text),
        2 => (0..6_i64).prop_map(|elements| storage("FloatStorage", "0", elements)),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => any::<i32>().prop_map(|value| [b"J".as_slice(), &value.to_le_bytes()].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn flipped_bytes_never_panic(
        file in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut content = file.get(files()).clone();
        for (place, value) in flips {
            let place = place.index(content.len());
            content[place] = value;
        }
        read_all(&content);
    }

    #[test]
    fn every_truncation_is_an_error(file in any::<prop::sample::Index>(), end in any::<prop::sample::Index>()) {
        let content = file.get(files());
        prop_assert!(!read_all(&content[..end.index(content.len())]));
    }

    #[test]
    fn opcodes_in_any_order_never_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        read_all(&torch_file(&pieces.concat()));
        // In a dict, so that what is made is looked at.
        read_all(&torch_file(&[b"}(X\x01\0\0\0w".to_vec(), pieces.concat(), b"u".to_vec()].concat()));
    }

    #[test]
    fn claims_of_tensors_never_panic(
        offset in -2..6_i64,
        axes in prop::collection::vec((prop_oneof![-1..5_i64, any::<i64>()], prop_oneof![-1..5_i64, any::<i64>()]), 0..4),
    ) {
        let (shape, stride): (Vec<i64>, Vec<i64>) = axes.into_iter().unzip();
        let is_read = read_all(&torch_file(&only(tensor(offset, &shape, &stride))));
        // The plain rule, in numbers that cannot overflow.
        let reach: i128 = shape.iter().zip(&stride).map(|(n, s)| (i128::from(*n) - 1) * i128::from(*s)).sum();
        let is_empty = shape.contains(&0);
        let end = i128::from(offset) + if is_empty { 0 } else { reach + 1 };
        let is_sound = offset >= 0 && shape.iter().chain(&stride).all(|value| *value >= 0) && end <= 4;
        let elements = shape.iter().fold(8_i128, |all, n| all.saturating_mul(i128::from((*n).max(1))));
        let is_small = if is_empty { elements <= i64::MAX.into() } else { elements / 2 <= 64 << 20 };
        prop_assert_eq!(is_read, is_sound && is_small);
    }
}
