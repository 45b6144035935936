//! A hub on 127.0.0.1 that speaks the few requests of hf-hub, and misbehaves when asked to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

pub const REPO: &str = "someone/model";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What it serves and how.
#[derive(Default)]
pub struct State {
    pub files: BTreeMap<String, Vec<u8>>,
    /// Branches and tags; the commit itself is known without.
    pub revisions: BTreeMap<String, String>,
    /// The token it demands.
    pub token: Option<String>,
    /// Closes the connection after so many bytes of a body, so many times.
    pub cut: (usize, usize),
    /// Answers a request for a part with the whole file.
    pub ignores_ranges: bool,
    /// Files are behind a redirect, as large ones are on the real hub.
    pub redirect: Option<Redirect>,
    /// Overrides an ETag.
    pub etag: Option<String>,
    /// Bodies are changed on the way.
    pub spoils: bool,
    /// Every request: method and path.
    pub log: Vec<String>,
}

/// Where a redirect leads.
pub enum Redirect {
    /// It does not say.
    Nowhere,
    /// To `/store/` of the host at this address; empty: of the same host, without its name.
    Store(String),
}

pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves `files` of [`REPO`] at [`COMMIT`], which is `main`.
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            files: files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect(),
            revisions: [("main".to_owned(), COMMIT.to_owned())].into(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is no failure of the test.
                let _ = answer(stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Self { address, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The requests since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }
}

struct Request {
    path: String,
    range: Option<String>,
    token: Option<String>,
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
    let mut request =
        Request { path: first.split(' ').nth(1).unwrap_or("").to_owned(), range: None, token: None };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                request.range = Some(value.to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                request.token = Some(value.trim_start_matches("Bearer ").to_owned());
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(request)
}

fn answer(stream: TcpStream, state: &mut State) -> std::io::Result<()> {
    let request = read(&stream)?;
    state.log.push(request.path.clone());
    if state.token.is_some() && state.token != request.token {
        return send(stream, "401 Unauthorized", "", b"", None);
    }
    if let Some(revision) = request.path.strip_prefix(&format!("/api/models/{REPO}/revision/")) {
        return match commit(state, revision) {
            Some(commit) => {
                let siblings: Vec<_> =
                    state.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
                let body = serde_json::json!({ "sha": commit, "siblings": siblings }).to_string();
                send(stream, "200 OK", "", body.as_bytes(), None)
            }
            None => send(stream, "404 Not Found", "", b"", None),
        };
    }
    let resolve = format!("/{REPO}/resolve/");
    let (place, is_store) = match request.path.strip_prefix("/store/") {
        Some(place) => (place, true),
        None => (request.path.strip_prefix(&resolve).unwrap_or(""), false),
    };
    let Some((revision, name)) = place.split_once('/') else {
        return send(stream, "404 Not Found", "", b"", None);
    };
    let (Some(commit), Some(content)) = (commit(state, revision), state.files.get(name).cloned()) else {
        return send(stream, "404 Not Found", "", b"", None);
    };
    let etag = state.etag.clone().unwrap_or_else(|| etag(name, &content));
    let headers = format!("ETag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\n");
    match &state.redirect {
        Some(Redirect::Nowhere) if !is_store => send(stream, "302 Found", &headers, b"", None),
        Some(Redirect::Store(host)) if !is_store => {
            let location = format!("{headers}Location: {host}/store/{place}\r\n");
            send(stream, "302 Found", &location, b"", None)
        }
        _ => send_file(stream, state, &request, &headers, content),
    }
}

fn commit(state: &State, revision: &str) -> Option<String> {
    let is_known = |commit: &&String| *commit == revision;
    state.revisions.get(revision).or_else(|| state.revisions.values().find(is_known)).cloned()
}

/// Large files have their SHA-256, small ones a git id.
pub fn etag(name: &str, content: &[u8]) -> String {
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    if name.ends_with(".json") || name.ends_with(".txt") { hash[..40].to_owned() } else { hash }
}

fn send_file(
    stream: TcpStream,
    state: &mut State,
    request: &Request,
    headers: &str,
    mut content: Vec<u8>,
) -> std::io::Result<()> {
    if state.spoils {
        content.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let size = content.len();
    let range = request.range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let is_probe = range == Some(("0", "0"));
    let Some((start, end)) = range.filter(|_| is_probe || !state.ignores_ranges) else {
        return send(stream, "200 OK", headers, &content, None);
    };
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(size, |end: usize| end + 1);
    if start >= size {
        return send(stream, "416 Range Not Satisfiable", "", b"", None);
    }
    let headers = format!("{headers}Content-Range: bytes {start}-{}/{size}\r\n", end - 1);
    let cut = (!is_probe && state.cut.1 > 0).then_some(state.cut.0);
    if cut.is_some() {
        state.cut.1 -= 1;
    }
    send(stream, "206 Partial Content", &headers, &content[start..end], cut)
}

fn send(
    mut stream: TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
    cut: Option<usize>,
) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body[..cut.unwrap_or(length).min(length)])?;
    stream.flush()
}
