"""Latents to a waveform: diffusers' AutoencoderOobleck at the size of Stable Audio."""

from harness import main, path, timed

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file, save_file

HOP, RATE = 2048, 44_100


def prepare(folder, quick):
    AutoencoderOobleck().save_pretrained(folder)
    save_file({"latents": torch.randn(1, 64, 22 if quick else 108)}, path(folder, "io.safetensors"))


def run(folder, args):
    model = AutoencoderOobleck.from_pretrained(folder).eval()
    latents = load_file(path(folder, "io.safetensors"))["latents"]
    timed("diffusers", latents.shape[2] * HOP / RATE, args.secs, lambda: model.decode(latents).sample)


main(prepare, run)
