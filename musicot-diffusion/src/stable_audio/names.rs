//! What the tensors of the two published layouts are called in this crate, and back for error messages.

use musicot_core::tch::Kind;
use musicot_core::{Checkpoint, Error as CoreError, KeyMap, tensor};

use crate::Error;

/// A part of a file's names, and of the model's; several where the tensor is cut.
type Rule = (&'static str, &'static [&'static str]);

const DIFFUSERS: [Rule; 6] = [
    (".to_q.", &[".q_proj."]),
    (".to_k.", &[".k_proj."]),
    (".to_v.", &[".v_proj."]),
    (".to_out.0.", &[".o_proj."]),
    (".ff.net.0.proj.", &[".ff.up_proj.", ".ff.gate_proj."]),
    (".ff.net.2.", &[".ff.down_proj."]),
];

/// The order counts: what is special comes first.
const ORIGINAL: [Rule; 22] = [
    ("transformer.layers.", &["transformer_blocks."]),
    ("transformer.project_in.", &["proj_in."]),
    ("transformer.project_out.", &["proj_out."]),
    (".pre_norm.gamma", &[".norm1.weight"]),
    (".pre_norm.beta", &[".norm1.bias"]),
    (".cross_attend_norm.gamma", &[".norm2.weight"]),
    (".cross_attend_norm.beta", &[".norm2.bias"]),
    (".ff_norm.gamma", &[".norm3.weight"]),
    (".ff_norm.beta", &[".norm3.bias"]),
    (".self_attn.to_qkv.", &[".attn1.q_proj.", ".attn1.k_proj.", ".attn1.v_proj."]),
    (".self_attn.to_out.", &[".attn1.o_proj."]),
    (".self_attn.", &[".attn1."]),
    (".cross_attn.to_q.", &[".attn2.q_proj."]),
    (".cross_attn.to_kv.", &[".attn2.k_proj.", ".attn2.v_proj."]),
    (".cross_attn.to_out.", &[".attn2.o_proj."]),
    (".cross_attn.", &[".attn2."]),
    (".ff.ff.0.proj.", &[".ff.up_proj.", ".ff.gate_proj."]),
    (".ff.ff.2.", &[".ff.down_proj."]),
    ("timestep_features.", &["time_proj."]),
    ("to_timestep_embed.", &["timestep_proj."]),
    ("to_global_embed.", &["global_proj."]),
    ("to_cond_embed.", &["cross_attention_proj."]),
];

/// Tensors that only the original layout has.
const MARKS: [&str; 2] = ["timestep_features.weight", "to_timestep_embed.0.weight"];

/// Where stable-audio-tools puts the transformer, the place that counts first.
const PLACES: [&str; 4] = ["model.model.", "model.", "", "diffusion.model.model."];

/// Frequencies of the rotary positions. They follow from the sizes, but a file in half precision holds rounded ones.
const FREQUENCIES: &str = "transformer.rotary_pos_emb.inv_freq";

/// Which of the two a file is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    Diffusers,
    /// With what stands before the transformer's names.
    Original(String),
}

impl Layout {
    /// Tells by the names of the tensors.
    pub(super) fn find(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let names = checkpoint.names();
        let mut places: Vec<&str> =
            MARKS.iter().flat_map(|mark| names.iter().filter_map(|name| name.strip_suffix(*mark))).collect();
        places.sort_unstable();
        places.dedup();
        let usual = PLACES.into_iter().find(|place| places.contains(place));
        match (usual, places.as_slice()) {
            (_, []) => Ok(Self::Diffusers),
            (Some(place), _) => Ok(Self::Original(place.to_owned())),
            (None, [place]) => Ok(Self::Original((*place).to_owned())),
            (None, several) => {
                let reason = format!("expected one transformer, found several: {}", several.join(", "));
                Err(Error::format(checkpoint.path(), reason))
            }
        }
    }

    fn rules(&self) -> &'static [Rule] {
        match self {
            Self::Diffusers => &DIFFUSERS,
            Self::Original(_) => &ORIGINAL,
        }
    }

    fn prefix(&self) -> &str {
        match self {
            Self::Diffusers => "",
            Self::Original(prefix) => prefix,
        }
    }

    /// From the file's names to the model's.
    pub(super) fn key_map(&self) -> KeyMap {
        let map = KeyMap::default().below(self.prefix()).drop_containing(FREQUENCIES);
        self.rules().iter().fold(map, |map, (from, to)| match to {
            [to] => map.replace(from, to),
            _ => map.split(from, to),
        })
    }

    /// The file's own frequencies of the rotary positions, of which there must be so many.
    ///
    /// # Errors
    /// [`CoreError::Shape`] for another number of them.
    pub(super) fn frequencies(&self, checkpoint: &Checkpoint, count: i64) -> Result<Option<Vec<f32>>, Error> {
        let name = format!("{}{FREQUENCIES}", self.prefix());
        if checkpoint.info(&name).is_none() {
            return Ok(None);
        }
        let frequencies = checkpoint.tensor(&name)?;
        if frequencies.size() != [count] {
            let (expected, actual) = (format!("[{count}]"), frequencies.size());
            return Err(CoreError::Shape { what: name, expected, actual });
        }
        Ok(Some(tensor::to_vec(&frequencies.f_to_kind(Kind::Float)?)?))
    }

    /// The file's name for a tensor of the model, and into how many parts it was cut.
    fn file_name(&self, name: &str) -> (String, i64) {
        let (mut name, mut parts) = (name.to_owned(), 1);
        for (from, to) in self.rules() {
            if let Some(part) = to.iter().find(|part| name.contains(**part)) {
                name = name.replace(part, from);
                parts = parts.max(to.len() as i64);
            }
        }
        (format!("{}{name}", self.prefix()), parts)
    }

    /// An error of loading, in the names of the file.
    pub(super) fn explain(&self, error: Error, checkpoint: &Checkpoint) -> Error {
        let CoreError::Checkpoint { path, mut report } = error else { return error };
        for names in [&mut report.missing, &mut report.unexpected] {
            for name in names.iter_mut() {
                *name = self.file_name(name).0;
            }
            names.dedup();
        }
        for (name, expected, actual) in &mut report.shape_mismatch {
            let (file_name, parts) = self.file_name(name);
            *name = file_name;
            if let Some(first) = expected.first_mut() {
                *first *= parts;
            }
            if let Some(info) = checkpoint.info(name) {
                *actual = info.shape;
            }
        }
        report.shape_mismatch.dedup();
        for (name, ..) in &mut report.kind_mismatch {
            *name = self.file_name(name).0;
        }
        report.kind_mismatch.dedup();
        for (name, _) in &mut report.ambiguous {
            *name = self.file_name(name).0;
        }
        CoreError::Checkpoint { path, report }
    }
}
