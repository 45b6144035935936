"""What the scripts of musicot-codec's published codecs share: random weights, noise, and the files of a case."""

import json
import os
import shutil
from importlib.metadata import version

import torch
from safetensors.torch import load_file, save_file

ROOT = os.path.join("musicot-codec", "tests", "golden")
# Two candidates for a code that are closer than this could change places by rounding: then another seed is needed.
MARGIN = 2e-4


def folder(name):
    path = os.path.join(ROOT, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def spread(named, seed, scale):
    """Random values large enough that every term of the computation shows; `scale(name, noise)` says which."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(named):
            value.copy_(scale(name, torch.randn(value.shape, generator=generator)))


def wave(shape, seed):
    """Noise whose loudness changes."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return noise * (0.3 + 0.25 * torch.sin(torch.arange(shape[-1]) * 0.11))


class Margins:
    """The least distance between the best candidate for a code and the second one."""

    def __init__(self):
        self.least = float("inf")

    def see(self, scores):
        best = scores.topk(2, -1).values
        self.least = min(self.least, (best[..., 0] - best[..., 1]).min().item())


def write(path, case, inputs, single, double):
    """`single`, `double`: the outputs of the reference in f32 and f64. Returns the noises."""
    outputs, noises = {}, {}
    for name, value in single.items():
        outputs["out." + name] = value.detach().contiguous()
        if value.is_floating_point():
            noises[name] = (value.double() - double[name]).abs().max().float().detach()
            outputs["noise." + name] = noises[name]
        else:
            assert torch.equal(value, double[name]), (path, name)
    save_file({"in." + name: value.contiguous() for name, value in inputs.items()}, os.path.join(path, "io.safetensors"))
    save_file(outputs, os.path.join(path, "golden.safetensors"))
    write_json(os.path.join(path, "case.json"), case)
    report = ", ".join(f"{name} {noise:.1e} of {single[name].square().mean().sqrt():.2g}" for name, noise in noises.items())
    print(f"{path}: noise {report}")


def rename(path, edit):
    """Changes the dict of tensors of a safetensors file."""
    tensors = edit(load_file(path))
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata={"format": "pt"})


OLD, NEW = ("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")


def respell(source, target):
    """Weight norm in the other spelling."""

    def edit(tensors):
        for old, new in zip(source, target):
            tensors = {name.replace(old, new): value for name, value in tensors.items()}
        return tensors

    return edit


def fold(tensors):
    """Without weight norm."""
    folded = {}
    for name, value in tensors.items():
        if name.endswith(".weight_g"):
            direction = tensors[name[:-1] + "v"]
            length = direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.dim() - 1))
            folded[name[:-2]] = direction * (value / length)
        elif not name.endswith(".weight_v"):
            folded[name] = value
    return folded


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def note_versions(*packages):
    path = os.path.join(ROOT, "versions.json")
    versions = json.load(open(path)) if os.path.exists(path) else {}
    versions |= {name: version(name) for name in ("safetensors", "torch", *packages)}
    write_json(path, dict(sorted(versions.items())))
