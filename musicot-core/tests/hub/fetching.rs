//! What a fetch brings, and what it asks for.

use musicot_core::Checkpoint;
use musicot_core::hub::HubError;

use super::server::{COMMIT, REPO, Redirect, Server, etag};
use super::{failure, fetch, hub, left_over, model, offline, weights};

const OTHER_COMMIT: &str = "fedcba9876543210fedcba9876543210fedcba98";

fn usual() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("README.md", b"read me".to_vec()),
        ("config.json", b"{\"hidden_size\": 4}".to_vec()),
        ("merges.txt", b"a b".to_vec()),
        ("model.safetensors", weights("w")),
        ("pytorch_model.bin", b"a pickle".to_vec()),
        ("tf_model.h5", b"another".to_vec()),
    ]
}

#[test]
fn a_checkpoint_arrives_with_its_small_files_and_opens() {
    let (server, cache) = (Server::start(&usual()), tempfile::tempdir().unwrap());
    let snapshot = fetch(&hub(&server, cache.path()), &model()).unwrap();
    assert_eq!(snapshot.files(), ["config.json", "merges.txt", "model.safetensors"]);
    assert_eq!(snapshot.commit(), COMMIT);
    assert_eq!(snapshot.dir(), cache.path().join("models--someone--model/snapshots").join(COMMIT));
    assert_eq!(Checkpoint::open(snapshot.dir()).unwrap().names(), ["w"]);
    let mut there: Vec<_> =
        std::fs::read_dir(snapshot.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["config.json", "merges.txt", "model.safetensors"]);
    assert_eq!(left_over(&cache.path().join("models--someone--model/blobs"), ".part"), [""; 0]);
}

#[test]
fn progress_ends_at_the_sum_of_what_was_missing() {
    let (server, cache) = (Server::start(&usual()), tempfile::tempdir().unwrap());
    let expected: usize =
        server.state().files.iter().filter(|(name, _)| is_wanted(name)).map(|f| f.1.len()).sum();
    let (mut done, mut files) = (0, Vec::new());
    let snapshot = hub(&server, cache.path()).fetch(&model(), &mut |progress| {
        assert!(progress.done_bytes >= done && progress.file_done_bytes <= progress.file_bytes);
        assert_eq!(progress.total_bytes, expected as u64);
        done = progress.done_bytes;
        if files.last() != Some(&progress.file.to_owned()) {
            files.push(progress.file.to_owned());
        }
    });
    assert_eq!(done, expected as u64);
    assert_eq!(files, ["config.json", "merges.txt", "model.safetensors"], "the weights come last");
    assert_eq!(snapshot.unwrap().files().len(), 3);
}

fn is_wanted(name: &str) -> bool {
    ["config.json", "merges.txt", "model.safetensors"].contains(&name)
}

#[test]
fn a_branch_costs_one_request_and_a_commit_none_once_they_are_there() {
    let (server, cache) = (Server::start(&usual()), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let first = fetch(&hub, &model()).unwrap();
    server.take_log();
    assert_eq!(fetch(&hub, &model()).unwrap(), first);
    assert_eq!(server.take_log(), [format!("/api/models/{REPO}/revision/main")]);
    assert_eq!(fetch(&hub, &model().revision(COMMIT)).unwrap(), first);
    assert_eq!(server.take_log(), [""; 0]);
}

#[test]
fn offline_uses_the_cache_and_names_what_it_lacks() {
    let (server, cache) = (Server::start(&usual()), tempfile::tempdir().unwrap());
    let HubError::NotCached { path, .. } = failure(&offline(cache.path()), &model()) else {
        panic!("another error")
    };
    assert!(path.ends_with("models--someone--model/refs/main"));
    let fetched = fetch(&hub(&server, cache.path()), &model()).unwrap();
    server.take_log();
    assert_eq!(fetch(&offline(cache.path()), &model()).unwrap(), fetched);
    assert_eq!(fetch(&offline(cache.path()), &model().revision(COMMIT)).unwrap(), fetched);
    std::fs::remove_file(fetched.dir().join("model.safetensors")).unwrap();
    let HubError::NotCached { path, .. } = failure(&offline(cache.path()), &model()) else {
        panic!("another error")
    };
    assert!(path.ends_with("model.safetensors"));
    assert!(failure(&offline(cache.path()), &model().revision("other")).to_string().contains("`other`"));
    assert_eq!(server.take_log(), [""; 0]);
}

#[test]
fn a_cache_that_another_tool_filled_will_do_offline() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--someone--model");
    let snapshot = repo.join("snapshots").join(COMMIT);
    std::fs::create_dir_all(snapshot.join("vae")).unwrap();
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    std::fs::write(snapshot.join("vae/config.json"), "{}").unwrap();
    std::fs::write(snapshot.join("vae/diffusion_pytorch_model.safetensors"), weights("v")).unwrap();
    let fetched = fetch(&offline(cache.path()), &model().folder("vae")).unwrap();
    assert_eq!(Checkpoint::open(fetched.dir().join("vae")).unwrap().names(), ["v"]);
    let error = failure(&offline(cache.path()), &model()).to_string();
    assert!(error.contains("no weights at the top level") && error.contains("vae"), "{error}");
}

#[test]
fn a_moved_branch_is_followed_and_unchanged_files_are_not_fetched_again() {
    let (server, cache) = (Server::start(&usual()), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let first = fetch(&hub, &model()).unwrap();
    server.state().revisions.insert("v1".into(), COMMIT.into());
    server.state().revisions.insert("main".into(), OTHER_COMMIT.into());
    server.state().files.insert("config.json".into(), b"{\"hidden_size\": 5}".to_vec());
    let mut fetched = Vec::new();
    let second = hub.fetch(&model(), &mut |progress| fetched.push(progress.file.to_owned())).unwrap();
    fetched.dedup();
    assert_eq!(fetched, ["config.json"]);
    assert_eq!(second.commit(), OTHER_COMMIT);
    assert_eq!(std::fs::read(second.dir().join("config.json")).unwrap(), b"{\"hidden_size\": 5}");
    assert_eq!(Checkpoint::open(second.dir()).unwrap().names(), ["w"]);
    assert_eq!(fetch(&hub, &model().revision("v1")).unwrap(), first, "a tag");
    assert_eq!(fetch(&offline(cache.path()), &model().revision("v1")).unwrap().commit(), COMMIT);
}

#[test]
fn shards_are_those_of_the_index() {
    let index = serde_json::json!({ "metadata": {}, "weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors" } });
    let files = [
        ("config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index.to_string().into_bytes()),
        ("model-00001-of-00002.safetensors", weights("a")),
        ("model-00002-of-00002.safetensors", weights("b")),
        ("model-00003-of-00003.safetensors", weights("c")),
        ("pytorch_model.bin", b"a pickle".to_vec()),
    ];
    let (server, cache) = (Server::start(&files), tempfile::tempdir().unwrap());
    let snapshot = fetch(&hub(&server, cache.path()), &model()).unwrap();
    assert_eq!(snapshot.files().len(), 4);
    assert_eq!(Checkpoint::open(snapshot.dir()).unwrap().names(), ["a", "b"]);
    server.state().files.remove("model-00002-of-00002.safetensors");
    let other = tempfile::tempdir().unwrap();
    let error = failure(&hub(&server, other.path()), &model()).to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
}

#[test]
fn a_pickle_is_taken_where_there_is_nothing_else() {
    let pickle = std::fs::read("tests/golden/pickle/state_dict.bin").unwrap();
    let files = [("config.json", b"{}".to_vec()), ("pytorch_model.bin", pickle)];
    let (server, cache) = (Server::start(&files), tempfile::tempdir().unwrap());
    let snapshot = fetch(&hub(&server, cache.path()), &model()).unwrap();
    assert!(!Checkpoint::open(snapshot.dir()).unwrap().names().is_empty());
}

#[test]
fn a_file_by_name_and_a_folder_keep_their_places() {
    let files = [
        ("laion/music.pt", b"of any name".to_vec()),
        ("vae/config.json", b"{}".to_vec()),
        ("vae/diffusion_pytorch_model.safetensors", weights("v")),
        ("model.ckpt", b"large".to_vec()),
    ];
    let (server, cache) = (Server::start(&files), tempfile::tempdir().unwrap());
    let wanted = model().file("laion/music.pt").folder("vae");
    let snapshot = fetch(&hub(&server, cache.path()), &wanted).unwrap();
    assert_eq!(std::fs::read(snapshot.dir().join("laion/music.pt")).unwrap(), b"of any name");
    assert_eq!(Checkpoint::open(snapshot.dir().join("vae")).unwrap().names(), ["v"]);
    assert!(!snapshot.dir().join("model.ckpt").exists());
}

#[test]
fn large_files_behind_a_redirect_arrive() {
    let server = Server::start(&usual());
    for store in [String::new(), server.address.clone()] {
        let cache = tempfile::tempdir().unwrap();
        server.state().redirect = Some(Redirect::Store(store));
        server.take_log();
        let snapshot = fetch(&hub(&server, cache.path()), &model()).unwrap();
        assert_eq!(Checkpoint::open(snapshot.dir()).unwrap().names(), ["w"]);
        assert!(server.take_log().iter().any(|path| path.starts_with("/store/")));
        let blob =
            cache.path().join("models--someone--model/blobs").join(etag("model.safetensors", &usual()[3].1));
        assert_eq!(std::fs::read(blob).unwrap(), usual()[3].1);
    }
}
