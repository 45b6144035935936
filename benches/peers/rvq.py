"""Residual quantisation: vector-quantize-pytorch."""

from harness import main, path, timed

import torch
from safetensors.torch import load_file, save_file
from vector_quantize_pytorch import ResidualVQ

LEVELS, CODES, DIM, BATCH = 12, 1024, 512, 4096


def model():
    return ResidualVQ(dim=DIM, num_quantizers=LEVELS, codebook_size=CODES).eval()


def prepare(folder, quick):
    rvq = model()
    for level, layer in enumerate(rvq.layers):
        layer._codebook.embed.copy_(torch.randn(1, CODES, DIM) * 0.6**level)
    save_file({name: value.contiguous() for name, value in rvq.state_dict().items()}, path(folder, "model.safetensors"))
    save_file({"x": torch.randn(BATCH, DIM)}, path(folder, "io.safetensors"))


def run(folder, args):
    rvq = model()
    rvq.load_state_dict(load_file(path(folder, "model.safetensors")))
    x = load_file(path(folder, "io.safetensors"))["x"]
    timed("vector-quantize-pytorch", BATCH, args.secs, lambda: rvq(x[None]))


main(prepare, run)
