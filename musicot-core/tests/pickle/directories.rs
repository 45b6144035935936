//! Directories with archives, whole and in shards.

use std::fs;
use std::path::Path;

use musicot_core::Checkpoint;

use crate::golden_folder;

fn copy(from: &str, folder: &Path, to: &str) {
    fs::copy(golden_folder().join(from), folder.join(to)).unwrap();
}

#[test]
fn safetensors_are_preferred_and_whole_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let message = Checkpoint::open(folder).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin") && message.contains("model.safetensors"), "{message}");

    // From the last choice to the first; each file has another number of tensors.
    copy("parameters.pt", folder, "part.bin");
    let map = r#"{"weight_map": {"0.weight": "part.bin", "0.bias": "part.bin"}}"#;
    fs::write(folder.join("pytorch_model.bin.index.json"), map).unwrap();
    assert_eq!(Checkpoint::open(folder).unwrap().names().len(), 4);
    copy("state_dict.bin", folder, "pytorch_model.bin");
    assert_eq!(Checkpoint::open(folder).unwrap().names().len(), 8);
    copy("views.safetensors", folder, "part.safetensors");
    fs::write(folder.join("model.safetensors.index.json"), r#"{"weight_map": {"row": "part.safetensors"}}"#)
        .unwrap();
    assert_eq!(Checkpoint::open(folder).unwrap().names().len(), 16);
    copy("codec.safetensors", folder, "model.safetensors");
    assert_eq!(Checkpoint::open(folder).unwrap().names().len(), 3);
}

#[test]
fn shards_are_archives_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy("parameters.pt", folder, "pytorch_model-00001-of-00002.bin");
    copy("codec.pth", folder, "pytorch_model-00002-of-00002.bin");
    let index = |name: &str| {
        let map = format!(
            r#"{{"weight_map": {{"{name}": "pytorch_model-00001-of-00002.bin",
                 "encoder.block.0.bias": "pytorch_model-00002-of-00002.bin"}}}}"#
        );
        fs::write(folder.join("pytorch_model.bin.index.json"), map).unwrap();
        Checkpoint::open(folder)
    };
    let checkpoint = index("0.weight").unwrap();
    assert_eq!(checkpoint.names().len(), 7);
    let expected = Checkpoint::open(golden_folder().join("codec.safetensors")).unwrap();
    let name = "encoder.block.0.bias";
    assert!(checkpoint.tensor(name).unwrap().equal(&expected.tensor(name).unwrap()));
    assert_eq!(checkpoint.metadata().unwrap()["metadata"]["kwargs"]["encoder_dim"], 64);
    let message = index("epoch").unwrap_err().to_string();
    assert!(message.contains("`epoch` is not in `pytorch_model-00001-of-00002.bin`"), "{message}");
}
