//! Pickles that no tool writes.

use musicot_core::Checkpoint;
use musicot_core::tensor::to_vec;

use crate::archive::{
    dict, integer, laughs, on_disk, only, storage, tensor, tensor_on, text, torch_file, tuple,
};
use crate::refusal;

#[test]
fn a_handmade_file_is_read() {
    let (_folder, path) = on_disk(&torch_file(&only(tensor(1, &[2, 1], &[2, 77]))));
    let checkpoint = Checkpoint::open(&path).unwrap();
    let read = checkpoint.tensor("w").unwrap();
    assert_eq!((read.size(), to_vec(&read).unwrap()), (vec![2, 1], vec![2.0, 4.0]));
}

#[test]
fn tensors_stay_within_their_storage() {
    let outside = [
        (0, vec![5], vec![1]),
        (4, vec![1], vec![1]),
        (5, vec![0], vec![1]),
        (-1, vec![1], vec![1]),
        (i64::MAX, vec![2], vec![1]),
        (i64::MAX, vec![], vec![]),
        (0, vec![2], vec![4]),
        (0, vec![2], vec![-1]),
        (0, vec![-2], vec![1]),
        (0, vec![2, 2], vec![1]),
        (0, vec![3, 3], vec![1, 1]),
        (0, vec![2], vec![i64::MAX]),
        (0, vec![i64::MAX], vec![i64::MAX]),
        (0, vec![2, 2, 2], vec![i64::MAX / 2, i64::MAX / 2, i64::MAX / 2]),
        (1, vec![i64::MAX], vec![1]),
    ];
    for (offset, shape, stride) in outside {
        let message = refusal(&torch_file(&only(tensor(offset, &shape, &stride))));
        assert!(
            message.contains("not within its storage of 4 elements"),
            "{offset} {shape:?} {stride:?}: {message}"
        );
    }
}

#[test]
fn elements_are_not_repeated_without_end() {
    let repeated = [vec![1 << 25], vec![1 << 20, 1 << 20], vec![i64::MAX, i64::MAX], vec![i64::MAX, 0]];
    for shape in repeated {
        let message = refusal(&torch_file(&only(tensor(0, &shape, &vec![0; shape.len()]))));
        let expected = message.contains("repeats the elements") || message.contains("memory can hold");
        assert!(expected, "{shape:?}: {message}");
    }
    let (_folder, path) = on_disk(&torch_file(&only(tensor(3, &[1000], &[0]))));
    assert_eq!(to_vec(&Checkpoint::open(&path).unwrap().tensor("w").unwrap()).unwrap(), [4.0; 1000]);
    let many = [1; 33];
    assert!(refusal(&torch_file(&only(tensor(0, &many, &many)))).contains("32 axes at most, got 33"));
}

#[test]
fn storages_are_what_their_entries_hold() {
    let cases = [
        (storage("FloatStorage", "0", 5), "its entry has 16 bytes"),
        (storage("DoubleStorage", "0", 3), "3 elements of Double"),
        (storage("FloatStorage", "0", -1), "claims -1 elements"),
        (storage("FloatStorage", "0", i64::MAX), "its entry has 16 bytes"),
        (storage("DoubleStorage", "0", i64::MIN), "its entry has 16 bytes"),
        (storage("FloatStorage", "1", 1), "storage `1` is not in the archive"),
        (storage("FloatStorage", "../data.pkl", 1), "storage `../data.pkl` is not in the archive"),
        (storage("FloatStorage", &"0".repeat(5000), 1), "0…` is not in the archive"),
        (storage("QInt8Storage", "0", 1), "`torch.QInt8Storage`"),
        (integer(1), "expected a storage, got an integer"),
        ([text("storage"), b"\x85Q".to_vec()].concat(), "persistent id"),
    ];
    for (claimed, expected) in cases {
        let message = refusal(&torch_file(&only(tensor_on(&claimed, 0, &[1], &[1]))));
        assert!(message.contains(expected) && message.len() < 500, "{expected}: {message}");
    }
}

#[test]
fn only_listed_globals_are_known() {
    let names = [
        "os\nsystem",
        "posix\nsystem",
        "builtins\neval",
        "__builtin__\nexec",
        "subprocess\nPopen",
        "torch\nload",
        "torch.storage\n_load_from_bytes",
        "torch.hub\nload",
        "torch\nFloatTensor",
        "collections\nCounter",
        "numpy\nload",
        "_codecs\ndecode",
        "torch._utils\n_rebuild_tensor",
        "OrderedDict\ncollections",
        "\n",
    ];
    for name in names {
        let message = refusal(&torch_file(format!("c{name}\n").as_bytes()));
        let expected = format!("byte 2: names `{}`", name.replacen('\n', ".", 1));
        assert!(message.contains(&expected), "{message}");
    }
    let stack = [text("os"), text("system"), b"\x93".to_vec()].concat();
    assert!(refusal(&torch_file(&stack)).contains("`os.system`"));
    let long = format!("c{}\nx\n", "m".repeat(300));
    assert!(refusal(&torch_file(long.as_bytes())).contains("256 bytes at most"));
    let control = "c\u{1b}[2J\nx\n";
    assert!(refusal(&torch_file(control.as_bytes())).contains(r"`\u{1b}[2J.x`"));
}

#[test]
fn allowed_globals_are_called_as_pytorch_does() {
    let calls: [&[u8]; 12] = [
        b"ccollections\nOrderedDict\nN\x85R",
        b"ctorch\nSize\nN\x85R",
        b"ctorch\nFloatStorage\n)R",
        b"ctorch\nfloat32\n)R",
        b"ctorch\ndevice\n)R",
        b"cnumpy\ndtype\n)R",
        b"cnumpy.core.multiarray\nscalar\n)R",
        b"c_codecs\nencode\n)R",
        b"ctorch._utils\n_rebuild_parameter\nNNN\x87R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ccollections\nOrderedDict\nNR",
        b"N)R",
    ];
    for call in calls {
        let message = refusal(&torch_file(call));
        let expected = ["unexpected arguments", "expected a function", "expected a tuple"];
        assert!(expected.iter().any(|part| message.contains(part)), "{message}");
    }
    let dtype = [b"cnumpy\ndtype\n".to_vec(), text("f8"), b"\x89\x88\x87R".to_vec()].concat();
    let big_endian = [dtype.as_slice(), b"(K\x03", &text(">"), b"tb"].concat();
    assert!(refusal(&torch_file(&big_endian)).contains("not little-endian"));
    let short = [b"cnumpy.core.multiarray\nscalar\n".as_slice(), &dtype, b"C\x01a\x86R"].concat();
    assert!(refusal(&torch_file(&short)).contains("another number of bytes"));
}

#[test]
fn a_stack_that_does_not_hold_is_named() {
    let cases: [(&[u8], &str); 22] = [
        (b"", "not there"),
        (b"NN", "several values"),
        (b"(N", "several values"),
        (b"(N}s", "not there"),
        (b"t", "not there"),
        (b"\x87", "not there"),
        (b"(\x85", "not there"),
        (b"N(\x85", "not there"),
        (b"h\x00", "memoised as 0"),
        (b"j\xff\xff\xff\xff", "memoised as 4294967295"),
        (b"\x94", "not there"),
        (b"]N(u", "expected a dict, got None"),
        (b"}(Nu", "has no value"),
        (b"}Na", "expected a list, got a dict"),
        (b"NNb", "has a state, got None"),
        (b"NN\x93", "expected the name of a global"),
        (b"NQ", "expected a tuple"),
        (b"X\xff\xff\xff\xff", "more bytes"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "more bytes"),
        (b"\x8c\x01\xff", "not UTF-8"),
        (b"\x80\x01", "protocol 2 to 5, got 1"),
        (b")\x81", "NEWOBJ"),
    ];
    for (opcodes, expected) in cases {
        let message = refusal(&torch_file(opcodes));
        assert!(
            message.contains("`x/data.pkl`, byte ") && message.contains(expected),
            "{opcodes:?}: {message}"
        );
    }
    for opcode in (0..=255_u8).filter(|opcode| {
        !b"\x80\x95\x94qrhjN\x88\x89JKM\x8aG\x8cX\x8dCB\x8e]})t\x85\x86\x87aesucR\x93bQ(.".contains(opcode)
    }) {
        assert!(refusal(&torch_file(&[opcode])).contains("is none that `torch.save` writes"), "{opcode}");
    }
}

#[test]
fn the_dict_of_tensors_is_unambiguous() {
    let one = || tensor(0, &[2], &[1]);
    let state = |value: Vec<u8>| (text("state_dict"), value);
    let cases = [
        (
            dict(&[(text("w"), one()), (text("epoch"), integer(3))]),
            "`epoch`: expected a tensor as its neighbours are, got an integer",
        ),
        (
            dict(&[(text("epoch"), integer(3)), (text("model"), only(one()))]),
            "got a dict of `epoch`, `model`",
        ),
        (dict(&[(text("w"), one()), (text("w"), one())]), "tensor `w` is there twice"),
        (dict(&[(integer(3), one())]), "a tensor's name is 3"),
        (dict(&[state(only(one())), state(only(one()))]), "the key `state_dict` is there twice"),
        (dict(&[state(only(integer(1)))]), "got a dict of `w`"),
        (one(), "expected a dict as the top level, got a tensor"),
        (b"]".to_vec(), "expected a dict as the top level, got a list"),
    ];
    for (opcodes, expected) in cases {
        let message = refusal(&torch_file(&opcodes));
        assert!(message.contains(expected), "{message}");
    }
    // A tensor of that name is a tensor; in a nested dict, other things are passed over; nothing is nothing.
    let fine = [
        (dict(&[state(one())]), vec!["state_dict"]),
        (
            dict(&[state(dict(&[(text("a"), one()), (text("step"), integer(1))])), (text("b"), one())]),
            vec!["a"],
        ),
        (b"}".to_vec(), vec![]),
    ];
    for (opcodes, names) in fine {
        let (_folder, path) = on_disk(&torch_file(&opcodes));
        assert_eq!(Checkpoint::open(&path).unwrap().names(), names);
    }
}

#[test]
fn metadata_is_finite() {
    let metadata = |value: Vec<u8>| {
        let (_folder, path) =
            on_disk(&torch_file(&dict(&[(text("state_dict"), b"}".to_vec()), (text("x"), value)])));
        Checkpoint::open(&path).unwrap().metadata().map_err(|error| error.to_string())
    };
    // A list that holds itself, and one that holds the one before it twice, and so on.
    assert!(metadata(b"]\x94h\x00a".to_vec()).unwrap_err().contains("deeper than 64"));
    assert!(metadata(laughs(60)).unwrap_err().contains("more than 67108864 bytes"));
    // Long texts count.
    let long =
        [b"(".to_vec(), text(&"x".repeat(1 << 16)), b"\x94".to_vec(), b"h\x00".repeat(2000), b"t".to_vec()]
            .concat();
    assert!(metadata(long).unwrap_err().contains("more than 67108864 bytes"));
    // Tuples within tuples: as deep as there are bytes.
    let deep = [b")".to_vec(), b"\x85".repeat(1_000_000)].concat();
    assert!(metadata(deep).unwrap_err().contains("deeper than 64"));
    assert_eq!(metadata(tuple(&[1, -2])).unwrap()["x"], serde_json::json!([1, -2]));
}

#[test]
fn a_pickle_has_an_end() {
    let endless = b"N".repeat((1 << 22) + 1);
    assert!(refusal(&torch_file(&endless)).contains("4194304 opcodes at most"));
    let one = [b"]\x94(".to_vec(), tensor(0, &[1], &[1]), b"e0".to_vec()].concat();
    // POP is refused, so that nothing is made to be thrown away.
    assert!(refusal(&torch_file(&one)).contains("POP"));
    let arguments =
        [storage("FloatStorage", "0", 4), integer(0), tuple(&[1]), tuple(&[1]), b"NN".to_vec()].concat();
    let global = b"ctorch._utils\n_rebuild_tensor_v2\n\x94(".to_vec();
    let many = [global, arguments, b"t\x94".to_vec(), b"h\x00h\x01R".repeat((1 << 17) + 1)].concat();
    assert!(refusal(&torch_file(&many)).contains("131072 tensors at most"));
}
