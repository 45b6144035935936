//! Where from, where to, and whether at all.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hf_hub::Cache;
use hf_hub::api::sync::ApiBuilder;

use super::Hub;
use crate::{Error, Result};

const HUGGING_FACE: &str = "https://huggingface.co";

/// Settings of a [`Hub`]. What is not set comes from the variables that the Hugging Face tools know:
///
/// | setting | variables, the first one counts | default |
/// |---|---|---|
/// | [`cache_dir`](HubBuilder::cache_dir) | `HF_HUB_CACHE`, `$HF_HOME/hub`, `$XDG_CACHE_HOME/huggingface/hub` | `~/.cache/huggingface/hub` |
/// | [`endpoint`](HubBuilder::endpoint) | `HF_ENDPOINT` | `https://huggingface.co` |
/// | [`offline`](HubBuilder::offline) | `HF_HUB_OFFLINE` (1, true, yes or on) | online |
/// | [`token`](HubBuilder::token) | `HF_TOKEN`, the file `token` in `HF_HOME` | none |
///
/// Proxies are taken from `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
#[derive(Clone)]
pub struct HubBuilder {
    cache_dir: Option<PathBuf>,
    endpoint: String,
    offline: bool,
    token: Option<String>,
}

impl HubBuilder {
    pub(super) fn from_env() -> Self {
        let lookup = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::from_variables(&lookup, std::env::home_dir())
    }

    fn from_variables(lookup: &dyn Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Self {
        let text = |name: &str| lookup(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| lookup(name).map(PathBuf::from);
        let caches = path("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")));
        let hf_home = path("HF_HOME").or_else(|| caches.map(|dir| dir.join("huggingface")));
        let offline = text("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_lowercase();
        let token_file = hf_home.as_ref().map(|dir| dir.join("token"));
        let saved_token = || std::fs::read_to_string(token_file?).ok();
        let token = text("HF_TOKEN").or_else(saved_token).map(|token| token.trim().to_owned());
        Self {
            cache_dir: path("HF_HUB_CACHE").or_else(|| hf_home.map(|dir| dir.join("hub"))),
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| HUGGING_FACE.to_owned()),
            offline: ["1", "true", "yes", "on"].contains(&offline.as_str()),
            token: token.filter(|token| !token.is_empty()),
        }
    }

    /// The folder that holds `models--OWNER--NAME`; it is made when it is needed.
    pub fn cache_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.cache_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Address of the hub or of a mirror, with `https://` or `http://`.
    pub fn endpoint(mut self, address: impl Into<String>) -> Self {
        self.endpoint = address.into();
        self
    }

    /// Whether only the cache is consulted.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// The access token for private and gated models; `None` sends none. It is sent to the endpoint, and by hf-hub to the store that
    /// the endpoint names for a large file.
    pub fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// The hub with these settings. Nothing is asked or written yet.
    ///
    /// # Errors
    /// [`Error::Input`] when the endpoint is no address, when the token has other than visible ASCII characters, or when no cache folder is
    /// given and the user has no home; [`Error::Hub`] when hf-hub cannot start.
    pub fn build(self) -> Result<Hub> {
        let Some(cache_dir) = self.cache_dir else {
            return Err(Error::input(
                "cache folder",
                "expected one, as there is no home folder; set HF_HOME",
            ));
        };
        let cache = Cache::new(std::path::absolute(&cache_dir).map_err(Error::io(&cache_dir))?);
        let endpoint = self.endpoint.trim_end_matches('/').to_owned();
        let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic())) {
            let reason = format!("expected an address such as {HUGGING_FACE}, got `{}`", self.endpoint);
            return Err(Error::input("endpoint", reason));
        }
        if self.token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::input("token", "expected visible ASCII characters only"));
        }
        if self.offline {
            return Ok(Hub { cache, endpoint, api: None });
        }
        // Retries are ours: those of hf-hub 0.5 append to a partial file from its start when the first attempt got no byte.
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint.clone())
            .with_token(self.token)
            .with_retries(0)
            .with_progress(false)
            .with_user_agent("musicot", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| super::HubError::of_api(error, &endpoint))?;
        Ok(Hub { cache, endpoint, api: Some(api) })
    }
}

impl std::fmt::Debug for HubBuilder {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubBuilder")
            .field("cache_dir", &self.cache_dir)
            .field("endpoint", &self.endpoint)
            .field("offline", &self.offline)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> HubBuilder {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        HubBuilder::from_variables(&lookup, Some("/home/u".into()))
    }

    #[test]
    fn the_variables_of_the_other_tools_count() {
        let cache = |variables: &[(&str, &str)]| with(variables).cache_dir.unwrap();
        assert_eq!(cache(&[]), Path::new("/home/u/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/h/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
        assert_eq!(with(&[]).endpoint, HUGGING_FACE);
        assert_eq!(with(&[("HF_ENDPOINT", "http://mirror")]).endpoint, "http://mirror");
        assert!(with(&[("HF_HUB_OFFLINE", "1")]).offline && with(&[("HF_HUB_OFFLINE", "True")]).offline);
        assert!(!with(&[("HF_HUB_OFFLINE", "0")]).offline && !with(&[]).offline);
    }

    #[test]
    fn a_token_comes_from_its_variable_or_its_file_and_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-file\n").unwrap();
        let home = home.path().to_str().unwrap();
        assert_eq!(with(&[("HF_HOME", home)]).token.unwrap(), "from-file");
        let builder = with(&[("HF_HOME", home), ("HF_TOKEN", "hf_secret")]);
        assert_eq!(builder.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{builder:?} {:?}", builder.clone().build().unwrap()).contains("hf_secret"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for endpoint in ["", "huggingface.co", "ftp://a", "https://", "https://a b"] {
            let error = with(&[]).endpoint(endpoint).build().unwrap_err().to_string();
            assert!(error.starts_with("endpoint"), "{error}");
        }
        let error = with(&[]).token(Some("two\nlines".into())).build().unwrap_err().to_string();
        assert!(error.starts_with("token") && !error.contains("lines"), "{error}");
        let homeless = HubBuilder::from_variables(&|_| None, None);
        assert!(homeless.build().unwrap_err().to_string().contains("HF_HOME"));
    }
}
