//! Published codebooks: the codes and the sums of the reference implementations (`tests/reference/rvq.py`), and what is refused.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use musicot_rvq::core::checkpoint::{self, Checkpoint, Storage};
use musicot_rvq::tch::{Device, Kind, Tensor};
use musicot_rvq::{PublishedRvq, VectorQuantizer};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn deviation(left: &Tensor, right: &Tensor) -> f64 {
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

#[test]
fn codes_and_sums_are_those_of_the_references() {
    for (name, prefix, dim, levels) in [
        ("vq_pytorch", "", 12, 4),
        ("vq_pytorch_projected", "", 12, 3),
        ("encodec", "quantizer.", 10, 5),
        ("encodec_package", "quantizer.", 10, 5),
    ] {
        let rvq = PublishedRvq::open(case(name), prefix, Device::Cpu).unwrap();
        assert_eq!((rvq.dim(), rvq.levels(), rvq.codebook_size()), (dim, levels, 16), "{name}");
        let golden = Checkpoint::open(case(name).join("golden.safetensors")).unwrap();
        let tensor = |part: &str| golden.tensor(part).unwrap();
        let codes = rvq.encode(&tensor("x")).unwrap();
        assert!(codes.equal(&tensor("codes")), "{name}: {codes}");
        let allowed = 10.0 * tensor("noise").double_value(&[]);
        for (part, decoded) in
            [("decoded", rvq.decode(&codes)), ("coarse", rvq.decode(&codes.narrow(-1, 0, 1)))]
        {
            let found = deviation(&decoded.unwrap(), &tensor(part));
            assert!(found <= allowed, "{name}, {part}: {found:e}, {allowed:e} is allowed");
        }
        let wrong = rvq.encode(&Tensor::zeros([2, 5], (Kind::Float, Device::Cpu))).unwrap_err().to_string();
        assert!(wrong.contains(&dim.to_string()), "{name}: {wrong}");
        let broken = Tensor::full([1, dim as i64], f64::NAN, (Kind::Float, Device::Cpu));
        assert!(rvq.encode(&broken).unwrap_err().to_string().contains("vectors"), "{name}");
    }
}

/// A file in a folder of its own: the tensors of a case, changed.
fn file_of(name: &str, change: impl Fn(&mut Vec<(String, Tensor)>)) -> (tempfile::TempDir, PathBuf) {
    let file = Checkpoint::open(case(name)).unwrap();
    let mut tensors: Vec<(String, Tensor)> =
        file.names().into_iter().map(|name| (name.clone(), file.tensor(&name).unwrap())).collect();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    checkpoint::write(&path, &tensors, Storage::Native).unwrap();
    (folder, path)
}

/// Why the tensors of a case, changed, are refused.
fn changed(name: &str, change: impl Fn(&mut Vec<(String, Tensor)>)) -> String {
    let (_folder, path) = file_of(name, change);
    let opened = PublishedRvq::open(&path, "", Device::Cpu);
    let error = opened.err().unwrap_or_else(|| panic!("{name} was taken")).to_string();
    assert!(error.contains("changed.safetensors"), "{error}");
    error
}

fn replace(tensors: &mut [(String, Tensor)], name: &str, value: Tensor) {
    tensors.iter_mut().find(|(own, _)| own == name).unwrap().1 = value;
}

#[test]
fn what_does_not_fit_is_named() {
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let remove =
        |what: &'static str| move |all: &mut Vec<(String, Tensor)>| all.retain(|(name, _)| name != what);
    let embed = "layers.1._codebook.embed";
    let error = changed("vq_pytorch", remove(embed));
    assert!(error.contains("levels 0 to 2"), "{error}");
    let error = changed("vq_pytorch", |all| replace(all, embed, zeros(&[1, 8, 12])));
    assert!(error.contains(embed) && error.contains("[8, 12]"), "{error}");
    let error = changed("vq_pytorch", |all| replace(all, embed, zeros(&[2, 16, 12])));
    assert!(error.contains(embed) && error.contains("[2, 16, 12]"), "several heads: {error}");
    let error = changed("vq_pytorch", |all| {
        replace(all, embed, Tensor::zeros([1, 16, 12], (Kind::Int64, Device::Cpu)))
    });
    assert!(error.contains(embed) && error.contains("Int64"), "{error}");
    let (flag, of_flag) = ("layers.2._codebook.initted", "layers.2._codebook.embed");
    let error = changed("vq_pytorch", |all| {
        replace(all, flag, Tensor::from(false));
        replace(all, of_flag, zeros(&[1, 16, 12]));
    });
    assert!(error.contains(flag) && error.contains("never started"), "{error}");
    let error = changed("vq_pytorch", |all| all.push(("mlps.0.weight".to_owned(), zeros(&[4, 4]))));
    assert!(error.contains("mlps.0.weight"), "{error}");
    let error = changed("vq_pytorch", |all| all.retain(|(name, _)| name.ends_with("embed_avg")));
    assert!(error.contains("no codebooks"), "{error}");
    let error = changed("vq_pytorch_projected", remove("project_out.bias"));
    assert!(error.contains("project_out.bias"), "{error}");
    let error = changed("vq_pytorch_projected", |all| replace(all, "project_in.weight", zeros(&[5, 12])));
    assert!(error.contains("project_in") && error.contains("[6, 12]"), "{error}");
}

#[test]
fn codebooks_filled_by_hand_are_taken() {
    let (_folder, path) = file_of("vq_pytorch", |all| {
        replace(all, "layers.2._codebook.initted", Tensor::from(false));
    });
    let opened = PublishedRvq::open(&path, "", Device::Cpu).unwrap();
    let usual = PublishedRvq::open(case("vq_pytorch"), "", Device::Cpu).unwrap();
    assert_eq!(opened.quantizer().codebooks(), usual.quantizer().codebooks());
}

#[test]
fn the_prefix_of_the_one_quantiser_is_found() {
    let found = |name: &str, change: fn(&mut Vec<(String, Tensor)>)| {
        let (_folder, path) = file_of(name, change);
        PublishedRvq::find_prefix(&Checkpoint::open(path).unwrap()).map_err(|e| e.to_string())
    };
    for (name, prefix) in [("vq_pytorch", ""), ("encodec", "quantizer."), ("encodec_package", "quantizer.")] {
        assert_eq!(found(name, |_| ()).unwrap(), prefix, "{name}");
    }
    let deeper = found("vq_pytorch_projected", |all| {
        all.iter_mut().for_each(|(name, _)| name.insert_str(0, "model.layers.1."));
    });
    assert_eq!(deeper.unwrap(), "model.layers.1.");
    let several = found("vq_pytorch", |all| {
        let second = all.iter().map(|(name, tensor)| (format!("b.{name}"), tensor.shallow_clone()));
        *all =
            second.chain(all.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))).collect();
    });
    assert!(several.unwrap_err().contains("\"b.\""));
    let none = found("vq_pytorch", |all| all.retain(|(name, _)| !name.ends_with("embed")));
    assert!(none.unwrap_err().contains("no codebooks"));
}
