//! Codebooks of other projects' checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use musicot_core::checkpoint::Checkpoint;
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Error, Result, shape};

use crate::{ResidualVq, RvqConfig, RvqModel, VectorQuantizer};

/// Entries of a level that only training reads.
const OF_TRAINING: [&str; 2] = ["cluster_size", "embed_avg"];

/// A residual quantiser as `vector-quantize-pytorch` (its `ResidualVQ`) and EnCodec (transformers' `EncodecModel`, the `encodec` package) store
/// one: Euclidean codebooks, greedily searched, in the former with linear maps before and after where its `codebook_dim` is not its
/// `dim`. A file does not tell whether it was trained with `use_cosine_sim`: such codebooks would be read, and searched wrongly.
///
/// ```no_run
/// use musicot_rvq::{PublishedRvq, VectorQuantizer, tch::Device};
/// let rvq = PublishedRvq::open("encodec_32khz", "quantizer.", Device::Cpu)?; // a directory or a file
/// println!("{} levels of {} codewords", rvq.levels(), rvq.codebook_size());
/// # Ok::<(), musicot_rvq::Error>(())
/// ```
pub struct PublishedRvq {
    model: RvqModel,
    /// Maps around the codebooks.
    projections: Option<(Projection, Projection)>,
}

struct Projection {
    weight: Tensor,
    bias: Tensor,
}

impl PublishedRvq {
    /// Reads the quantiser whose tensors begin with `prefix` (`""` for a file that holds nothing else) from a safetensors or `torch.save`
    /// file, or a directory of such. Which project wrote it follows from the names.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`] naming the file and the tensor: there are no codebooks below the prefix, levels are missing or of
    /// different sizes, codebooks have several heads or were never started, or there are tensors that this quantiser does not have (those
    /// of other variants of `ResidualVQ`).
    pub fn open(path: impl AsRef<Path>, prefix: &str, device: Device) -> Result<Self> {
        Self::read(&Checkpoint::open(path)?, prefix, device)
    }

    /// Like [`PublishedRvq::open`], from a checkpoint that is open already.
    ///
    /// # Errors
    /// See there.
    pub fn read(file: &Checkpoint, prefix: &str, device: Device) -> Result<Self> {
        let source = Source::find(file, prefix)?;
        let codebooks = source.codebooks()?;
        let projections = source.projections(codebooks[0].size()[1], device)?;
        Ok(Self { model: model(&codebooks, device)?, projections })
    }

    /// What stands before the names of the one quantiser of a checkpoint that may hold other things too: `"quantizer."` in a whole EnCodec,
    /// `""` in a file of a quantiser alone.
    ///
    /// # Errors
    /// [`Error::Format`] where there is no quantiser of these layouts, or several, which it names.
    pub fn find_prefix(file: &Checkpoint) -> Result<String> {
        let names = file.names();
        let prefixes: BTreeSet<&str> = names.iter().filter_map(|name| prefix(name)).collect();
        match prefixes.iter().collect::<Vec<_>>()[..] {
            [one] => Ok((*one).to_owned()),
            [] => Err(Error::format(file.path(), "no codebooks of a residual quantiser")),
            _ => Err(Error::format(file.path(), format!("codebooks of several quantisers: {prefixes:?}"))),
        }
    }

    /// The codebooks without the maps around them.
    pub fn quantizer(&self) -> &ResidualVq {
        self.model.quantizer()
    }
}

impl VectorQuantizer for PublishedRvq {
    fn dim(&self) -> usize {
        self.projections.as_ref().map_or(self.model.dim(), |(input, _)| input.weight.size()[1] as usize)
    }

    fn levels(&self) -> usize {
        self.model.levels()
    }

    fn codebook_size(&self) -> usize {
        self.model.codebook_size()
    }

    fn encode(&self, vectors: &Tensor) -> Result<Tensor> {
        let Some((input, _)) = &self.projections else { return self.model.encode(vectors) };
        shape::expect_finite("vectors", vectors)?;
        tch::no_grad(|| self.model.encode(&input.apply(vectors)?))
    }

    fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let sum = self.model.decode(codes)?;
        match &self.projections {
            None => Ok(sum),
            Some((_, output)) => tch::no_grad(|| output.apply(&sum)),
        }
    }
}

impl Projection {
    fn apply(&self, vectors: &Tensor) -> Result<Tensor> {
        let (actual, dim) = (vectors.size(), self.weight.size()[1]);
        if actual.last() != Some(&dim) || !vectors.is_floating_point() {
            let expected = format!("floating point [.., {dim}]");
            return Err(Error::Shape { what: "vectors".to_owned(), expected, actual });
        }
        Ok(vectors.f_to_kind(Kind::Float)?.f_linear(&self.weight, Some(&self.bias))?)
    }
}

/// The tensors of a quantiser in a file.
struct Source<'a> {
    file: &'a Checkpoint,
    prefix: &'a str,
    /// Level to the name of its codebook.
    levels: BTreeMap<usize, String>,
    has_projections: bool,
}

impl<'a> Source<'a> {
    /// Sorts every name below the prefix; one that has no place is an error.
    fn find(file: &'a Checkpoint, prefix: &'a str) -> Result<Self> {
        let mut found = Self { file, prefix, levels: BTreeMap::new(), has_projections: false };
        for name in file.names() {
            let Some(own) = name.strip_prefix(prefix) else { continue };
            if own.starts_with("project_in.") || own.starts_with("project_out.") {
                found.has_projections = true;
                continue;
            }
            match level(own) {
                Some((level, "embed")) => drop(found.levels.insert(level, name)),
                Some((_, "initted" | "inited")) => found.expect_started(&name)?,
                Some((_, entry)) if OF_TRAINING.contains(&entry) => {}
                _ => {
                    return Err(
                        found.broken(format!("tensor `{name}`: not of a quantiser that is read here"))
                    );
                }
            }
        }
        let count = found.levels.len();
        match found.levels.keys().copied().eq(0..count) {
            _ if count == 0 => Err(found.broken(format!("no codebooks below `{prefix}`"))),
            true => Ok(found),
            false => Err(found.broken(format!("expected levels 0 to {}, got others", count - 1))),
        }
    }

    /// The codebooks `[codebook_size, dim]`, all of one size.
    fn codebooks(&self) -> Result<Vec<Tensor>> {
        let mut books: Vec<Tensor> = Vec::new();
        for name in self.levels.values() {
            let stored = self.floating(name)?;
            shape::expect_finite(name, &stored)?;
            let book = match stored.size().as_slice() {
                [1, _, _] => stored.f_squeeze_dim(0)?,
                [_, _] => stored,
                size => {
                    return Err(self.broken(format!(
                        "tensor `{name}`: expected one codebook [size, dim], got {size:?}"
                    )));
                }
            };
            let expected = books.first().map_or_else(|| book.size(), Tensor::size);
            if book.size() != expected {
                let reason =
                    format!("tensor `{name}`: expected {expected:?} like level 0, got {:?}", book.size());
                return Err(self.broken(reason));
            }
            books.push(book);
        }
        Ok(books)
    }

    fn projections(&self, codebook_dim: i64, device: Device) -> Result<Option<(Projection, Projection)>> {
        if !self.has_projections {
            return Ok(None);
        }
        let input = self.projection("project_in", device)?;
        let output = self.projection("project_out", device)?;
        let dim = input.weight.size()[1];
        for (name, map, expected) in
            [("project_in", &input, [codebook_dim, dim]), ("project_out", &output, [dim, codebook_dim])]
        {
            if map.weight.size() != expected || map.bias.size() != expected[..1] {
                let (weight, bias) = (map.weight.size(), map.bias.size());
                let reason = format!(
                    "`{name}`: expected a weight {expected:?} and its bias, got {weight:?} and {bias:?}"
                );
                return Err(self.broken(reason));
            }
        }
        Ok(Some((input, output)))
    }

    fn projection(&self, name: &str, device: Device) -> Result<Projection> {
        let get = |part: &str| -> Result<Tensor> {
            Ok(self.floating(&format!("{}{name}.{part}", self.prefix))?.f_to_device(device)?)
        };
        let (weight, bias) = (get("weight")?, get("bias")?);
        match weight.dim() {
            2 => Ok(Projection { weight, bias }),
            _ => Err(self.broken(format!("`{name}.weight`: expected [out, in], got {:?}", weight.size()))),
        }
    }

    fn floating(&self, name: &str) -> Result<Tensor> {
        let stored = self.file.tensor(name)?;
        match stored.is_floating_point() {
            true => Ok(stored.f_to_kind(Kind::Float)?),
            false => {
                Err(self.broken(format!("tensor `{name}`: expected floating point, got {:?}", stored.kind())))
            }
        }
    }

    /// A codebook of a quantiser that has seen no data is all zeros. One that was filled by hand is as good as one that was trained, whatever
    /// the `flag` beside it says.
    fn expect_started(&self, flag: &str) -> Result<()> {
        let book = flag.rsplit_once('.').map(|(level, _)| format!("{level}.embed")).unwrap_or_default();
        match self.holds_anything(flag)? || self.holds_anything(&book)? {
            true => Ok(()),
            false => Err(self.broken(format!("tensor `{flag}`: this codebook was never started on data"))),
        }
    }

    fn holds_anything(&self, name: &str) -> Result<bool> {
        let stored = self.file.tensor(name)?;
        Ok(stored.f_count_nonzero(None)?.f_int64_value(&[])? > 0)
    }

    fn broken(&self, reason: String) -> Error {
        Error::format(self.file.path(), reason)
    }
}

/// What stands before the quantiser's own names, of which this is a codebook's.
fn prefix(name: &str) -> Option<&str> {
    let starts = name.match_indices("layers.").map(|(start, _)| start);
    let start = starts.into_iter().find(|start| matches!(level(&name[*start..]), Some((_, "embed"))))?;
    let before = &name[..start];
    Some(before.strip_suffix("vq.").filter(|rest| rest.is_empty() || rest.ends_with('.')).unwrap_or(before))
}

/// Level and entry of a name: `layers.2._codebook.embed` (vector-quantize-pytorch), `layers.2.codebook.embed` (transformers) or
/// `vq.layers.2._codebook.embed` (encodec) give `(2, "embed")`.
fn level(name: &str) -> Option<(usize, &str)> {
    let name = name.strip_prefix("vq.").unwrap_or(name);
    let (level, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let entry = rest.strip_prefix("_codebook.").or_else(|| rest.strip_prefix("codebook."))?;
    Some((level.parse().ok()?, entry))
}

fn model(codebooks: &[Tensor], device: Device) -> Result<RvqModel> {
    let size = codebooks[0].size();
    let config = RvqConfig {
        dim: size[1] as usize,
        levels: codebooks.len(),
        codebook_size: size[0] as usize,
        ..RvqConfig::default()
    };
    RvqModel::from_codebooks(&config, codebooks, device)
}
