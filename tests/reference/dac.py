"""Golden fixtures of DAC for musicot-codec, made by transformers' DacModel and by Descript's own package.

Usage: python tests/reference/dac.py   (from the repository root; transformers 5, descript-audio-codec, torch, safetensors)

Writes musicot-codec/tests/golden/dac_*/: a tiny model with seeded random weights in a published layout (config.json and
model.safetensors, or weights.pth), the case, and in `golden.safetensors`:

  out.codes      [batch, levels, frames], of `in.audio`, padded to whole frames
  out.decoded    [batch, 1, samples], from these codes, not longer than `in.audio`
  noise.decoded  largest difference between the reference in f32 and in f64

The versions used are added to `versions.json`.
"""

import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
# The folder of this file comes last, as `dac` would be this file.
sys.path.append(sys.path.pop(0))

import dac
import torch
from transformers import DacConfig, DacModel

from codec_case import MARGIN, Margins, folder, note_versions, spread, wave, write


def scale(name, noise):
    if name.endswith("alpha"):
        return 1.0 + 0.3 * noise.clamp(-2, 2)
    if name.endswith("weight_g"):
        return 0.6 + 0.15 * noise.clamp(-2, 2)
    if name.endswith("bias"):
        return 0.2 * noise
    if name.endswith("weight") and "codebook" not in name:
        return 0.6 * noise / (noise[0].numel() ** 0.5)
    return noise


def watch(quantizers):
    """Sees how close every choice is."""
    margins = Margins()
    for quantizer in quantizers:

        def decode_latents(latents, of=quantizer, plain=quantizer.decode_latents):
            vectors = torch.nn.functional.normalize(latents.transpose(1, 2), dim=-1)
            margins.see(vectors @ torch.nn.functional.normalize(of.codebook.weight).t())
            return plain(latents)

        quantizer.decode_latents = decode_latents
    return margins


def finish(path, run, load, audio, levels):
    """`load` reads the directory as a user would."""
    model, double = load().eval(), load().eval().double()
    margins = watch(model.quantizer.quantizers)
    with torch.no_grad():
        single, exact = run(model, audio, levels), run(double, audio.double(), levels)
    assert margins.least > MARGIN, (path, margins.least)
    write(path, {"kind": "dac", "levels": levels}, {"audio": audio}, single, exact)


def run_transformers(model, audio, levels):
    """Padded as DacFeatureExtractor does."""
    missing = -audio.shape[-1] % model.config.hop_length
    codes = model.encode(torch.nn.functional.pad(audio, (0, missing)), levels).audio_codes
    return {"codes": codes, "decoded": model.decode(audio_codes=codes).audio_values.unsqueeze(1)[..., :audio.shape[-1]]}


def of_transformers(name, seed, audio, levels, **settings):
    path = folder("dac_" + name)
    model = DacModel(DacConfig(**settings))
    spread(model.named_parameters(), seed, scale)
    model.save_pretrained(path)
    finish(path, run_transformers, lambda: DacModel.from_pretrained(path), audio, levels)


def run_package(model, audio, levels):
    outputs = model(audio, model.sample_rate, levels)
    return {"codes": outputs["codes"], "decoded": outputs["audio"]}


def of_package(name, seed, audio, levels, **settings):
    path = folder("dac_" + name)
    model = dac.DAC(**settings).eval()
    spread(model.named_parameters(), seed, scale)
    model.save(os.path.join(path, "weights.pth"), package=False)
    finish(path, run_package, lambda: dac.DAC.load(os.path.join(path, "weights.pth")), audio, levels)


def main():
    torch.set_num_threads(1)
    sizes = dict(codebook_size=16, codebook_dim=4)
    of_transformers(
        "transformers", 1, wave((2, 1, 83), 11), 3, encoder_hidden_size=4, downsampling_ratios=[2, 4],
        decoder_hidden_size=8, n_codebooks=3, sampling_rate=16000, **sizes,
    )
    of_transformers(
        "odd", 2, wave((1, 1, 150), 12), 2, encoder_hidden_size=3, downsampling_ratios=[2, 5], decoder_hidden_size=12,
        n_codebooks=4, sampling_rate=24000, **sizes,
    )
    of_package(
        "descript", 5, wave((2, 1, 101), 15), 3, encoder_dim=4, encoder_rates=[3, 2], latent_dim=10, decoder_dim=12,
        decoder_rates=[2, 3], n_codebooks=4, sample_rate=44100, **sizes,
    )
    note_versions("descript-audio-codec", "transformers")


if __name__ == "__main__":
    main()
