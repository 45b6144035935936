"""Golden fixtures of Oobleck for musicot-codec, made by diffusers' AutoencoderOobleck and by stable-audio-tools.

Usage: python tests/reference/oobleck.py   (from the repository root; diffusers, stable-audio-tools, torch, safetensors)

Writes musicot-codec/tests/golden/oobleck_*/: a tiny model with seeded random weights in a published layout, the case, and in
`golden.safetensors`:

  out.mean, out.std  [batch, latents, frames], the posterior of `in.audio`
  out.decoded        [batch, channels, samples], from `in.latents`
  noise.*            largest difference between the reference in f32 and in f64

The versions used are added to `versions.json`.
"""

import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
# The folder of this file comes last: scripts are named like packages.
sys.path.append(sys.path.pop(0))

from unittest import mock

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file

# What stable-audio-tools imports with its autoencoder, which does without: samplers and diffusion models.
unused = ("inference.sampling", "inference.utils", "models.diffusion")
sys.modules |= {"stable_audio_tools." + name: mock.MagicMock() for name in unused}
from stable_audio_tools.models.autoencoders import create_autoencoder_from_config
from stable_audio_tools.models.pretransforms import AutoencoderPretransform

from codec_case import NEW, OLD, fold, folder, note_versions, rename, respell, spread, wave, write, write_json


def scale(name, noise):
    if name.endswith("weight_g"):
        return 0.6 + 0.15 * noise.clamp(-2, 2)
    return noise * {"alpha": 0.4, "beta": 0.4, "bias": 0.2}.get(name.rsplit(".", 1)[1], 1.0)


def run(model, inputs):
    posterior = model.encode(inputs["audio"]).latent_dist
    return {"mean": posterior.mean, "std": posterior.std, "decoded": model.decode(inputs["latents"]).sample}


def case(name, seed, settings, batch, samples, frames, edit=None):
    path = folder("oobleck_" + name)
    model = AutoencoderOobleck(**settings)
    spread(model.named_parameters(), seed, scale)
    model.save_pretrained(path)
    model, double = (AutoencoderOobleck.from_pretrained(path, low_cpu_mem_usage=False).eval() for _ in range(2))
    if edit:
        rename(os.path.join(path, "diffusion_pytorch_model.safetensors"), edit)
    inputs = signals(settings["audio_channels"], settings["decoder_input_channels"], batch, samples, frames, seed)
    exact = {key: value.double() for key, value in inputs.items()}
    with torch.no_grad():
        write(path, {"kind": "oobleck"}, inputs, run(model, inputs), run(double.double(), exact))


def signals(channels, latents, batch, samples, frames, seed):
    return {"audio": wave((batch, channels, samples), seed + 1), "latents": wave((batch, latents, frames), seed + 2)}


def original_config(encoder, decoder, latents, channels, hop):
    """An autoencoder as stable-audio-tools describes it."""
    return {
        "encoder": {"type": "oobleck", "requires_grad": False, "config": encoder},
        "decoder": {"type": "oobleck", "config": decoder},
        "bottleneck": {"type": "vae"},
        "latent_dim": latents, "downsampling_ratio": hop, "io_channels": channels,
    }


def run_original(pretransform, inputs):
    """The reference draws from the posterior: its parameters are taken before that."""
    both = pretransform.model.encoder(inputs["audio"])
    mean, deviation = both.chunk(2, dim=1)
    deviation = torch.nn.functional.softplus(deviation) + 1e-4
    decoded = pretransform.decode(inputs["latents"])
    return {"mean": mean / pretransform.scale, "std": deviation / pretransform.scale, "decoded": decoded}


def original(name, seed, model, batch, samples, frames, diffusion=None):
    """`diffusion`: the scale of the latents, where the file is that of a whole diffusion model."""
    path = folder("oobleck_" + name)
    config = {"model_type": "autoencoder", "sample_size": 65536, "sample_rate": 16000, "model": model}
    pretransform = AutoencoderPretransform(create_autoencoder_from_config(config), scale=diffusion or 1.0).eval()
    spread(pretransform.model.named_parameters(), seed, scale)
    tensors = {key: value.detach().contiguous() for key, value in pretransform.model.state_dict().items()}
    if diffusion:
        tensors = {"pretransform.model." + key: value for key, value in tensors.items()}
        tensors["model.model.to_timestep_embed.0.weight"] = torch.ones(2, 2)
        tensors["conditioner.conditioners.seconds_total.embedder.embedding.1.bias"] = torch.ones(3)
        inner = {"type": "autoencoder", "iterate_batch": True, "scale": diffusion, "config": model}
        config |= {"model_type": "diffusion_cond", "model": {"pretransform": inner, "io_channels": 3}}
    save_file(tensors, os.path.join(path, "model.safetensors"))
    write_json(os.path.join(path, "model_config.json"), config)
    inputs = signals(model["io_channels"], model["latent_dim"], batch, samples, frames, seed)
    exact = {key: value.double() for key, value in inputs.items()}
    with torch.no_grad():
        single = run_original(pretransform, inputs)
        write(path, {"kind": "oobleck"}, inputs, single, run_original(pretransform.double(), exact))


def main():
    torch.set_num_threads(1)
    stereo = dict(
        encoder_hidden_size=6, downsampling_ratios=[2, 4], channel_multiples=[1, 2], decoder_channels=4,
        decoder_input_channels=3, audio_channels=2, sampling_rate=16000,
    )
    case("stereo", 1, stereo, batch=2, samples=83, frames=9)
    mono = stereo | dict(downsampling_ratios=[3, 2, 5], channel_multiples=[1, 2, 3], audio_channels=1, decoder_channels=3)
    case("odd", 2, mono, batch=1, samples=2219, frames=75, edit=respell(OLD, NEW))
    case("folded", 3, stereo | dict(downsampling_ratios=[2], channel_multiples=[3]), batch=1, samples=40, frames=7, edit=fold)
    sizes = dict(channels=4, c_mults=[1, 2], strides=[2, 4])
    encoder = sizes | dict(in_channels=2, latent_dim=6, use_snake=True)
    decoder = sizes | dict(out_channels=2, latent_dim=3, use_snake=True, final_tanh=False)
    original("original", 4, original_config(encoder, decoder, 3, 2, 8), 2, 83, 9, diffusion=0.75)
    encoder = sizes | dict(in_channels=1, latent_dim=4)
    decoder = sizes | dict(out_channels=1, latent_dim=2)
    original("original_elu", 5, original_config(encoder, decoder, 2, 1, 8), 1, 64, 11)
    note_versions("diffusers", "stable-audio-tools")


if __name__ == "__main__":
    main()
