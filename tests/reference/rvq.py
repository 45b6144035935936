"""Golden fixtures for musicot-rvq, made by vector-quantize-pytorch and by transformers' EnCodec.

Usage: python tests/reference/rvq.py   (from the repository root; vector-quantize-pytorch 1.32, transformers 5, torch, safetensors)

Writes musicot-rvq/tests/golden/CASE/: `model.safetensors` (or `pytorch_model.bin`) with seeded random weights in the published layout, and
`golden.safetensors`: `x` [vectors, dim], `codes` [vectors, levels], `decoded` from all levels and `coarse` from the first one. Codes are compared
exactly: the script stops if any codeword is within 1e-4 of being as near as the chosen one. `noise` is the deviation of the reference's own f32 from f64.
"""

import copy
import json
import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import importlib.metadata

import torch
import transformers
from safetensors.torch import save_file
from vector_quantize_pytorch import ResidualVQ

ROOT = os.path.join("musicot-rvq", "tests", "golden")
VECTORS = 40


def spread(books, generator):
    """Codebooks that halve from level to level, so that each matters."""
    for level, book in enumerate(books):
        book.copy_(torch.randn(book.shape, generator=generator) * 0.6**level)


def expect_margin(x, books):
    """Every choice must be clear, so that rounding cannot turn it."""
    residual = x
    for book in books:
        distances = torch.cdist(residual, book.reshape(-1, book.shape[-1]))
        nearest = distances.topk(2, largest=False)
        margin = float((nearest.values[:, 1] - nearest.values[:, 0]).min())
        assert margin > 1e-4, f"two codewords are within {margin}: take another seed"
        residual = residual - book.reshape(-1, book.shape[-1])[nearest.indices[:, 0]]


def vq_pytorch(model, x):
    codes = model(x[None])[1][0]
    only_first = torch.full_like(codes, -1)
    only_first[:, 0] = codes[:, 0]
    return codes, model.get_output_from_indices(codes[None])[0], model.get_output_from_indices(only_first[None])[0]


def encodec(model, x):
    codes = model.encode(x.t()[None], bandwidth=None)
    decode = lambda codes: model.decode(codes)[0].t()
    return codes[:, 0].t(), decode(codes), decode(codes[:1])


def case(name, model, run, x, books, state, prefix="", as_pickle=False):
    folder = os.path.join(ROOT, name)
    os.makedirs(folder, exist_ok=True)
    expect_margin(x if not hasattr(model, "has_projections") else model.project_in(x), books)
    codes, decoded, coarse = run(model, x)
    exact = run(copy.deepcopy(model).double(), x.double())
    assert torch.equal(codes, exact[0]), f"{name}: f32 and f64 choose otherwise"
    noise = (decoded.double() - exact[1]).abs().max().float()
    state = {prefix + key: value.contiguous() for key, value in state.items()}
    if as_pickle:
        torch.save(state, os.path.join(folder, "pytorch_model.bin"))
    else:
        save_file(state, os.path.join(folder, "model.safetensors"))
    golden = {"x": x, "codes": codes, "decoded": decoded, "coarse": coarse, "noise": noise}
    save_file({key: value.contiguous() for key, value in golden.items()}, os.path.join(folder, "golden.safetensors"))
    print(f"{name}: {list(codes.shape)}, noise {float(noise):.1e}")


def main():
    generator = torch.Generator().manual_seed(23)
    draw = lambda dim: torch.randn(VECTORS, dim, generator=generator)
    with torch.no_grad():
        for name, sizes, as_pickle in [
            ("vq_pytorch", {"dim": 12, "num_quantizers": 4, "codebook_size": 16}, False),
            ("vq_pytorch_projected", {"dim": 12, "codebook_dim": 6, "num_quantizers": 3, "codebook_size": 16}, True),
        ]:
            model = ResidualVQ(**sizes).eval()
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
            books = [layer._codebook.embed for layer in model.layers]
            spread(books, generator)
            case(name, model, vq_pytorch, draw(12), books, model.state_dict(), as_pickle=as_pickle)
        config = transformers.EncodecConfig(codebook_size=16, codebook_dim=10, hidden_size=10, target_bandwidths=[1.5], upsampling_ratios=[8, 5, 4, 2])
        model = transformers.EncodecModel(config).eval().quantizer
        books = [layer.codebook.embed for layer in model.layers]
        spread(books, generator)
        for layer in model.layers:
            layer.codebook.inited.fill_(True)
        case("encodec", model, encodec, draw(10), books, model.state_dict(), prefix="quantizer.")
        # The same codebooks as the encodec package names them.
        renamed = {"vq." + key.replace(".codebook.", "._codebook."): value for key, value in model.state_dict().items()}
        case("encodec_package", model, encodec, draw(10), books, renamed, prefix="quantizer.")
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "vector-quantize-pytorch")}
    with open(os.path.join(ROOT, "versions.json"), "w", encoding="utf-8") as file:
        json.dump(versions, file, indent=1)
        file.write("\n")


main()
