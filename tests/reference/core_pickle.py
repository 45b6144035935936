"""Golden fixtures for the reader of `torch.save` files in musicot-core, made by PyTorch itself.

Usage: python tests/reference/core_pickle.py   (from the repository root; torch 2.11, numpy 2, safetensors)

Writes musicot-core/tests/golden/pickle/: archives as published checkpoints have them, the values of their tensors as
`NAME.safetensors`, and archives that must be refused (`bad_*.pt`). The same versions write the same bytes. The versions
used are printed into `versions.json`. Nothing that these files name is called here: they are only written.
"""

import collections
import json
import os
import sys
import zipfile

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import numpy
import torch
from safetensors.torch import save_file

ROOT = os.path.join("musicot-core", "tests", "golden", "pickle")


class Call:
    """Something whose pickle calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def path(name):
    return os.path.join(ROOT, name)


def save(name, content, tensors=None, **options):
    """Writes an archive, and the tensors that are to be read from it."""
    torch.save(content, path(name), **options)
    if tensors is not None:
        contiguous = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
        save_file(contiguous, path(os.path.splitext(name)[0] + ".safetensors"))


def module(generator):
    """A model with parameters, buffers of several types and a tensor without axes."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model.register_buffer("ids", torch.arange(5).expand((1, -1)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def state_dicts(generator):
    model = module(generator)
    state = model.state_dict()
    save("state_dict.bin", state, state)
    save("state_dict_protocol4.bin", state, state, pickle_protocol=4)
    save("parameters.pt", dict(model.named_parameters()), dict(model.named_parameters()))


def training(generator):
    """As LAION's checkpoints: an optimiser that has run, and numpy scalars among the numbers."""
    model = module(generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.randn(6, 3, generator=generator)).square().sum().backward()
    optimizer.step()
    content = {
        "epoch": 15,
        "name": "music-epoch_15",
        "best": numpy.float64(0.9014),
        "count": numpy.int64(-3),
        "small": numpy.float32(0.5),
        "flag": numpy.bool_(True),
        "label": numpy.str_("text"),
        "state_dict": collections.OrderedDict(("module." + key, value) for key, value in model.state_dict().items()),
        "optimizer": optimizer.state_dict(),
    }
    for protocol in (2, 4):
        save(f"training_protocol{protocol}.pt", content, content["state_dict"], pickle_protocol=protocol)


def codec(generator):
    """As DAC's weights: the arguments of the model beside its tensors."""
    state = {key: torch.randn(shape, generator=generator) for key, shape in
             [("encoder.block.0.weight_g", (4, 1, 1)), ("encoder.block.0.weight_v", (4, 2, 3)), ("encoder.block.0.bias", (4,))]}
    kwargs = {"encoder_dim": 64, "encoder_rates": [2, 4, 8, 8], "quantizer_dropout": 0.5, "latent_dim": None,
              "sample_rate": 44100, "causal": False, "shape": torch.Size((2, 3)), "dtype": torch.float32,
              "device": torch.device("cpu"), "tuple": (1, "a"), "large": 2**40, "larger": 2**70, "bytes": b"\x00\xff",
              "infinite": float("inf"), "empty": {}, 7: "a key that is an integer"}
    save("codec.pth", {"state_dict": state, "metadata": {"kwargs": kwargs}}, state)


def views(generator):
    base = torch.randn(4, 6, generator=generator)
    image = torch.randn(2, 3, 2, 2, generator=generator)
    ids = torch.arange(20, dtype=torch.int32)
    tensors = {
        "base": base, "row": base[2], "column": base[:, 1], "transposed": base.t(), "block": base[1:3, 2:5],
        "strided": base[::2, ::3], "scalar": base[3, 5], "expanded": base[0].expand(3, 2, 6), "wide": base[:, :1].expand(4, 5),
        "empty": base[2:2], "nothing": torch.zeros(0, 3), "channels_last": image.contiguous(memory_format=torch.channels_last),
        "window": ids.as_strided((4, 5), (3, 1), 2), "ids": ids, "alias": ids, "single": base[1:2].t(),
    }
    save("views.pt", tensors, tensors)


def kinds():
    values = torch.tensor([[0.0, 1.0, 3.0], [100.0, 64.0, 2.0]])
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
             torch.uint8, torch.bool]
    tensors = {str(kind).removeprefix("torch."): values.to(kind) for kind in types}
    save("kinds.pt", tensors, tensors)


def rewritten(source, target, change):
    """The archive `source` with other entries: `change` gets and returns pairs of name and bytes."""
    with zipfile.ZipFile(path(source)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path(target), "w", zipfile.ZIP_STORED) as archive:
        for name, content in change(entries):
            archive.writestr(zipfile.ZipInfo(name), content)


def refused(generator):
    weight = torch.randn(2, 3, generator=generator)
    save("bad_system.pt", {"weight": weight, "x": Call(os.system, "touch pickle-was-run")})
    save("bad_eval.pt", {"state_dict": {"weight": weight}, "x": Call(eval, "1 + 1")}, pickle_protocol=4)
    save("bad_legacy.pt", {"weight": weight}, _use_new_zipfile_serialization=False)
    with open(path("bad_legacy.pt"), "rb+") as file:
        file.truncate(file.read().index(b"storage"))  # behind it are addresses, which change from run to run
    save("bad_set.pt", {"state_dict": {"weight": weight}, "x": {1}}, pickle_protocol=4)

    plain = "bad_plain.tmp"
    # A module with one constant: the order of several is another one in each run.
    torch.jit.save(torch.jit.script(torch.nn.PReLU()), path(plain))
    stable = lambda name: not name.endswith((".debug_pkl", "serialization_id"))
    rewritten(plain, "bad_script.pt", lambda entries: [(n, c) for n, c in entries if stable(n)])

    save(plain, {"weight": weight})
    one = lambda end, new: lambda entries: [(n, new(c) if n.endswith(end) else c) for n, c in entries]
    # The sizes (2, 3) and strides (3, 1) of the only tensor, as the pickle has them: K, a byte, K, a byte, a pair.
    swap = lambda old, new: lambda content: content.replace(old, new) if content.count(old) == 1 else sys.exit("changed pickle")
    rewritten(plain, "bad_stride.pt", one("data.pkl", swap(b"K\x03K\x01\x86", b"K\xffK\x01\x86")))
    rewritten(plain, "bad_shape.pt", one("data.pkl", swap(b"K\x02K\x03\x86", b"K\x03K\x03\x86")))
    rewritten(plain, "bad_storage.pt", one("data/0", lambda content: content[:-1]))
    rewritten(plain, "bad_byteorder.pt", one("byteorder", lambda content: b"big"))
    with zipfile.ZipFile(path(plain)) as archive, zipfile.ZipFile(path("bad_compressed.pt"), "w", zipfile.ZIP_DEFLATED) as other:
        for entry in archive.infolist():
            other.writestr(zipfile.ZipInfo(entry.filename), archive.read(entry), zipfile.ZIP_DEFLATED)
    os.remove(path(plain))


if __name__ == "__main__":
    os.makedirs(ROOT, exist_ok=True)
    torch.manual_seed(20)
    generator = torch.Generator().manual_seed(21)
    state_dicts(generator)
    training(generator)
    codec(generator)
    views(generator)
    kinds()
    refused(generator)
    versions = {m.__name__: m.__version__ for m in (numpy, torch)}
    with open(path("versions.json"), "w") as file:
        json.dump(versions, file, indent=2)
    print(versions)
