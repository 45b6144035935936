//! The stages that are measured: those of a bundle, or directories in their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use musicot::clap::Clap;
use musicot::codec::{NoteTokenizer, SpectralCodec};
use musicot::core::tch::Device;
use musicot::diffusion::{Dit, SamplerConfig, SessionConfig};
use musicot::lm::MusicLm;
use musicot::rvq::RvqModel;
use musicot::sampling::PhasePolicy;
use musicot::{Bundle, Generator, Stage};
use sha2::{Digest, Sha256};

use crate::common::Outcome;
use crate::options::Options;

/// The bundle that is taken when none is named, if it is there.
const DEFAULT_BUNDLE: &str = "models/mini";

pub struct Stages {
    bundle: Option<Bundle>,
    dirs: BTreeMap<Stage, PathBuf>,
}

impl Stages {
    pub fn open(options: &Options) -> Outcome<Self> {
        let bundle = match &options.bundle {
            Some(dir) => Some(Bundle::open(dir)?),
            None if Path::new(DEFAULT_BUNDLE).is_dir() => Some(Bundle::open(DEFAULT_BUNDLE)?),
            None => None,
        };
        Ok(Self { bundle, dirs: options.stage_dirs.clone() })
    }

    fn dir(&self, stage: Stage) -> Outcome<PathBuf> {
        match (self.dirs.get(&stage), &self.bundle) {
            (Some(dir), _) => Ok(dir.clone()),
            (None, Some(bundle)) => Ok(bundle.stage_dir(stage)?),
            (None, None) => {
                let name = stage.name();
                Err(format!("there is no {name}: name a bundle (--bundle) or its directory (--{name})")
                    .into())
            }
        }
    }

    pub fn codec(&self) -> Outcome<SpectralCodec> {
        Ok(SpectralCodec::load(self.dir(Stage::Codec)?, Device::Cpu)?)
    }

    pub fn semantic(&self) -> Outcome<NoteTokenizer> {
        Ok(NoteTokenizer::load(self.dir(Stage::Semantic)?, Device::Cpu)?)
    }

    pub fn clap(&self) -> Outcome<Clap> {
        Ok(Clap::load(self.dir(Stage::Clap)?, Device::Cpu)?)
    }

    pub fn rvq(&self) -> Outcome<RvqModel> {
        Ok(RvqModel::load(self.dir(Stage::Rvq)?, Device::Cpu)?)
    }

    pub fn lm(&self) -> Outcome<MusicLm> {
        Ok(MusicLm::load(self.dir(Stage::Lm)?, Device::Cpu)?)
    }

    pub fn diffusion(&self) -> Outcome<Dit> {
        Ok(Dit::load(self.dir(Stage::Diffusion)?, Device::Cpu)?)
    }

    /// How the stages are sampled: as the bundle says, else with the crates' defaults.
    pub fn settings(&self) -> (PhasePolicy, SamplerConfig, SessionConfig) {
        let Some(bundle) = &self.bundle else { return Default::default() };
        let defaults = bundle.config().defaults.clone();
        (defaults.policy, defaults.diffusion, defaults.windows)
    }

    /// The whole pipeline. Its sampling settings are the bundle's, so that there must be one.
    pub fn generator(&self) -> Outcome<Generator> {
        let bundle =
            self.bundle.as_ref().ok_or("generation needs a bundle, whose sampling settings it uses")?;
        let mut generator = Generator::open(bundle, Device::Cpu)?;
        for stage in self.dirs.keys() {
            generator = match stage {
                Stage::Clap => generator.with_encoder(Box::new(self.clap()?)),
                Stage::Rvq => generator.with_quantizer(Box::new(self.rvq()?)),
                Stage::Lm => generator.with_lm(self.lm()?),
                Stage::Diffusion => generator.with_denoiser(Box::new(self.diffusion()?)),
                Stage::Codec => generator.with_codec(Box::new(self.codec()?)),
                Stage::Semantic => generator,
            };
        }
        Ok(generator)
    }

    /// Where each stage is read from.
    pub fn directories(&self) -> BTreeMap<&'static str, String> {
        let found = |stage: Stage| Some((stage.name(), self.dir(stage).ok()?.display().to_string()));
        Stage::ALL.into_iter().filter_map(found).collect()
    }

    /// SHA-256 of the files that are measured, by `stage/file`.
    pub fn hashes(&self) -> Outcome<BTreeMap<String, String>> {
        let mut hashes = self.bundle.as_ref().map(Bundle::hashes).unwrap_or_default();
        for (stage, dir) in &self.dirs {
            hashes.retain(|file, _| !file.starts_with(&format!("{}/", stage.name())));
            for file in ["config.json", "model.safetensors"] {
                let path = dir.join(file);
                let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                hashes.insert(format!("{}/{file}", stage.name()), hash);
            }
        }
        Ok(hashes)
    }
}
