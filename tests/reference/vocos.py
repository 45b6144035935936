"""Golden fixtures for musicot-codec's Vocos, made by the reference implementation (the package vocos).

Usage: python tests/reference/vocos.py   (from the repository root; vocos 0.1.0, torch, torchaudio, safetensors, PyYAML)

Writes musicot-codec/tests/golden/vocos_*/: a tiny model with seeded random weights in the published layout (config.yaml and
pytorch_model.bin; in one case the same content as config.json and model.safetensors), the case (`case.json`, `io.safetensors` with
`in.audio` [batch, samples] or `in.mel` [batch, mels, frames]) and in `golden.safetensors`:

  out.mel       [batch, mels, frames], natural logarithms of magnitudes
  out.decoded   [batch, samples], the waveform made from them
  noise.mel, noise.decoded   largest difference between the reference in f32 and in f64

The versions used are added to `versions.json`.
"""

import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
# The folder of this file comes last, as `vocos` would be this file.
sys.path.append(sys.path.pop(0))

import torch
import yaml
from safetensors.torch import load_file, save_file
from vocos import Vocos

from codec_case import folder, note_versions, spread, write, write_json


def config(mel=None, backbone=None, head=None):
    """The three entries of a published file."""
    mel = dict(sample_rate=24000, n_fft=64, hop_length=16, n_mels=10, padding="center") | (mel or {})
    backbone = dict(input_channels=10, dim=12, intermediate_dim=20, num_layers=2) | (backbone or {})
    head = dict(dim=12, n_fft=64, hop_length=16, padding="center") | (head or {})
    parts = [
        ("feature_extractor", "vocos.feature_extractors.MelSpectrogramFeatures", mel),
        ("backbone", "vocos.models.VocosBackbone", backbone),
        ("head", "vocos.heads.ISTFTHead", head),
    ]
    return {name: {"class_path": path, "init_args": values} for name, path, values in parts}


def scale(name, noise):
    if name.endswith(("norm.weight", "gamma")):
        return 0.8 + 0.3 * noise
    return 0.3 * noise if noise.dim() == 1 else noise / (noise[0].numel() ** 0.5)


def load(path, dtype):
    """As a user would, from the files."""
    safe = os.path.join(path, "model.safetensors")
    is_safe = os.path.exists(safe)
    # JSON is YAML.
    model = Vocos.from_hparams(os.path.join(path, "config.json" if is_safe else "config.yaml"))
    weights = load_file(safe) if is_safe else torch.load(os.path.join(path, "pytorch_model.bin"))
    model.load_state_dict(weights)
    return model.eval().to(dtype)


def run(path, inputs, dtype):
    model = load(path, dtype)
    with torch.no_grad():
        mel = inputs["mel"].to(dtype) if "mel" in inputs else model.feature_extractor(inputs["audio"].to(dtype))
        return {"mel": mel, "decoded": model.decode(mel)}


def case(name, seed, settings, samples=None, frames=None, safe=False):
    path = folder("vocos_" + name)
    settings_path = os.path.join(path, "config.json" if safe else "config.yaml")
    if safe:
        write_json(settings_path, settings)
    else:
        with open(settings_path, "w") as file:
            yaml.safe_dump(settings, file, sort_keys=False)
    model = Vocos.from_hparams(settings_path)
    spread(model.named_parameters(), seed, scale)
    if safe:
        tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
        save_file(tensors, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    else:
        torch.save(model.state_dict(), os.path.join(path, "pytorch_model.bin"))
    generator = torch.Generator().manual_seed(seed + 1)
    if samples:
        inputs = {"audio": 0.3 * torch.randn([2, samples], generator=generator)}
    else:
        channels = settings["backbone"]["init_args"]["input_channels"]
        inputs = {"mel": 1.5 * torch.randn([2, channels, frames], generator=generator)}
    write(path, {"kind": "vocos"}, inputs, run(path, inputs, torch.float32), run(path, inputs, torch.float64))


def main():
    torch.set_num_threads(1)
    # Lengths that are no multiple of the hop.
    case("center", 1, config(), samples=1003)
    same = config(dict(padding="same"), dict(layer_scale_init_value=0.5), dict(padding="same"))
    case("same", 2, same, samples=1003, safe=True)
    # Analysis and synthesis have settings of their own, and defaults of their own (`center` and `same`).
    mixed = config(dict(n_fft=48, sample_rate=16000), dict(num_layers=1), dict(n_fft=40, hop_length=20))
    del mixed["feature_extractor"]["init_args"]["padding"], mixed["head"]["init_args"]["padding"]
    case("mixed", 3, mixed, samples=701)
    case("features", 4, config(), frames=23)
    note_versions("torchaudio", "vocos")


if __name__ == "__main__":
    main()
