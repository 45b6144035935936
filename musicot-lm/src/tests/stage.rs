//! Saving, loading, moving between threads.

use musicot_core::tch::Device;
use musicot_core::{Checkpoint, Error as CoreError, ParamStore, Storage};

use super::{audio, clap, plan, tiny_config, tiny_model};
use crate::{CausalLm, Conditions, Error, Llama, MusicLm, Song};

fn song(model: &MusicLm) -> Song {
    Song {
        conditions: Conditions { clap: Some(clap(1)), ..Default::default() },
        plan: Some(plan(model, 2, 1)),
        audio: audio(8, 1),
        start: 0,
        ends: true,
        rest: None,
    }
}

#[test]
fn a_saved_stage_is_the_same_stage() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(tiny_config());
    model.save(folder.path(), Storage::Native).unwrap();
    let loaded = MusicLm::load(folder.path(), Device::Cpu).unwrap();
    assert_eq!(loaded.config(), model.config());
    assert_eq!(loaded.score(&[song(&model)]).unwrap(), model.score(&[song(&model)]).unwrap());
}

#[test]
fn a_damaged_stage_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_model(tiny_config());
    assert!(MusicLm::load(folder.path(), Device::Cpu).is_err(), "an empty directory");
    model.save(folder.path(), Storage::Native).unwrap();
    let weights = folder.path().join("model.safetensors");
    let kept: Vec<_> =
        model.params().named().into_iter().filter(|(name, _)| name != "music.clap_null").collect();
    musicot_core::checkpoint::write(&weights, &kept, Storage::Native).unwrap();
    let Err(Error::Core(CoreError::Checkpoint { report, .. })) = MusicLm::load(folder.path(), Device::Cpu)
    else {
        panic!("expected a report of the checkpoint");
    };
    assert_eq!(report.missing, ["music.clap_null"]);
    assert!(Checkpoint::open(&weights).is_ok());
    std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    let message = MusicLm::load(folder.path(), Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
}

#[test]
fn models_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let model = is_send(tiny_model(tiny_config()));
    std::thread::spawn(move || model.score(&[song(&model)]).unwrap()).join().unwrap();
    let store = ParamStore::new(Device::Cpu, 0);
    let decoder: Box<dyn CausalLm> =
        is_send(Box::new(Llama::new(&store.root(), &tiny_config().llama).unwrap()));
    assert!(MusicLm::with_decoder(tiny_config(), store, decoder).is_ok());
}

#[test]
fn a_decoder_of_another_vocabulary_is_refused() {
    let store = ParamStore::new(Device::Cpu, 0);
    let mut config = tiny_config().llama;
    config.vocab_size += 1;
    let decoder = Llama::new(&store.root(), &config).unwrap();
    assert!(MusicLm::with_decoder(tiny_config(), store, Box::new(decoder)).is_err());
}
