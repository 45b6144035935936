//! What goes wrong, what is said of it, and what is left.

use musicot_core::hub::{Hub, HubError};
use musicot_core::{Checkpoint, Error};

use super::server::{COMMIT, Redirect, Server, etag};
use super::{failure, fetch, hub, left_over, model, weights};

const BLOBS: &str = "models--someone--model/blobs";

fn server() -> Server {
    Server::start(&[("config.json", b"{}".to_vec()), ("model.safetensors", weights("w"))])
}

#[test]
fn a_cut_connection_is_tried_again_from_where_it_broke() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    server.state().cut = (1000, 2);
    let mut most = 0;
    let snapshot = hub(&server, cache.path())
        .fetch(&model().file("model.safetensors"), &mut |p| most = p.done_bytes)
        .unwrap();
    assert_eq!(Checkpoint::open(snapshot.dir().join("model.safetensors")).unwrap().names(), ["w"]);
    assert_eq!(most, weights("w").len() as u64);
    assert_eq!(left_over(&cache.path().join(BLOBS), ".part"), [""; 0]);
}

#[test]
fn what_an_interrupted_fetch_left_is_gone_on_with() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let content = weights("w");
    let part = cache.path().join(BLOBS).join(etag("w", &content)).with_extension("part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    let wanted = model().file("model.safetensors");
    // A beginning; the whole, not yet renamed; and more than the whole.
    for length in [700, content.len(), content.len() + 5] {
        let mut left = content.clone();
        left.resize(length, 0);
        std::fs::write(&part, left).unwrap();
        let mut first = None;
        let snapshot = hub(&server, cache.path())
            .fetch(&wanted, &mut |progress| {
                first.get_or_insert(progress.file_done_bytes);
            })
            .unwrap();
        assert_eq!(std::fs::read(snapshot.dir().join("model.safetensors")).unwrap(), content);
        assert!(!part.exists());
        if length == 700 {
            assert_eq!(first, Some(700), "it begins where the part ends");
        }
        std::fs::remove_dir_all(cache.path().join("models--someone--model/snapshots")).unwrap();
        std::fs::remove_file(part.with_extension("")).unwrap();
    }
}

#[test]
fn a_server_that_cannot_go_on_sends_the_whole_file_again() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    server.state().ignores_ranges = true;
    let part = cache.path().join(BLOBS).join(etag("w", &weights("w"))).with_extension("part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, &weights("w")[..700]).unwrap();
    let snapshot = fetch(&hub(&server, cache.path()), &model()).unwrap();
    assert_eq!(std::fs::read(snapshot.dir().join("model.safetensors")).unwrap(), weights("w"));
}

#[test]
fn a_spoiled_file_is_not_kept() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    server.state().spoils = true;
    let error = failure(&hub(&server, cache.path()), &model().file("model.safetensors"));
    assert!(matches!(error, HubError::Damaged { .. }) && error.to_string().contains("SHA-256"), "{error}");
    let snapshot = cache.path().join("models--someone--model/snapshots").join(COMMIT);
    assert_eq!(left_over(&snapshot, ""), [""; 0]);
    assert!(left_over(&cache.path().join(BLOBS), "").iter().all(|name| name.ends_with(".lock")));
}

#[test]
fn missing_things_are_named() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let error = failure(&hub, &model().revision("nowhere"));
    assert!(
        matches!(&error, HubError::NotFound { address } if address.ends_with("/revision/nowhere")),
        "{error}"
    );
    let error = failure(&hub, &musicot_core::hub::HubModel::new("nobody/nothing"));
    assert!(error.to_string().contains("nobody/nothing") && error.to_string().contains("404"), "{error}");
    let error = failure(&hub, &model().file("x.pt"));
    assert!(error.to_string().contains("`x.pt`"), "{error}");
}

#[test]
fn refused_access_speaks_of_tokens_and_a_token_opens() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    server.state().token = Some("hf_right".into());
    for given in [None, Some("hf_wrong".to_owned())] {
        let hub =
            Hub::builder().endpoint(&server.address).cache_dir(cache.path()).offline(false).token(given);
        let error = failure(&hub.build().unwrap(), &model());
        assert!(matches!(error, HubError::Denied { status: 401, .. }), "{error}");
        assert!(error.to_string().contains("HF_TOKEN") && !error.to_string().contains("hf_wrong"), "{error}");
    }
    let hub = Hub::builder().endpoint(&server.address).cache_dir(cache.path()).offline(false);
    assert!(fetch(&hub.token(Some("hf_right".into())).build().unwrap(), &model()).is_ok());
}

#[test]
fn an_endpoint_that_is_not_there_or_is_no_hub_is_told() {
    let cache = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}");
    let absent = Hub::builder().endpoint(&address).cache_dir(cache.path()).offline(false).build().unwrap();
    let error = failure(&absent, &model());
    assert!(matches!(error, HubError::Unreachable { .. }) && error.to_string().contains(&address), "{error}");
    let server = server();
    server.state().revisions.insert("main".into(), "../../etc".into());
    let error = failure(&hub(&server, cache.path()), &model());
    assert!(matches!(error, HubError::Answer { .. }) && error.to_string().contains("../../etc"), "{error}");
}

#[test]
fn answers_that_would_write_elsewhere_or_lead_nowhere_are_refused() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    server.state().etag = Some("../../../outside".into());
    let error = failure(&hub, &model());
    assert!(matches!(error, HubError::Answer { .. }) && error.to_string().contains("ETag"), "{error}");
    server.state().etag = None;
    server.state().redirect = Some(Redirect::Nowhere);
    let error = failure(&hub, &model());
    assert!(matches!(error, HubError::Answer { .. }), "{error}");
    server.state().redirect = None;
    server.state().files.insert("../outside/config.json".into(), b"{}".to_vec());
    assert_eq!(fetch(&hub, &model()).unwrap().files(), ["config.json", "model.safetensors"]);
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_asked() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    for model in
        [model().file("../x"), model().revision("a/../b"), musicot_core::hub::HubModel::new("../../x")]
    {
        assert!(matches!(fetch(&hub, &model), Err(Error::Input { .. })));
    }
    assert_eq!(server.take_log(), [""; 0]);
    assert!(!cache.path().join("models--someone--model").exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_replaced() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let snapshot = fetch(&hub, &model()).unwrap();
    for blob in left_over(&cache.path().join(BLOBS), "") {
        std::fs::remove_file(cache.path().join(BLOBS).join(blob)).unwrap();
    }
    assert!(!snapshot.dir().join("config.json").exists());
    assert_eq!(fetch(&hub, &model()).unwrap(), snapshot);
    assert_eq!(Checkpoint::open(snapshot.dir()).unwrap().names(), ["w"]);
}
