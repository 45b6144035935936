"""Golden fixtures of EnCodec for musicot-codec, made by transformers' EncodecModel.

Usage: python tests/reference/encodec.py   (from the repository root; transformers 5, encodec, torch, safetensors)

Writes musicot-codec/tests/golden/encodec_*/: a tiny model with seeded random weights in the published layout (config.json and
model.safetensors), the case, and in `golden.safetensors`:

  out.codes      [batch, levels, frames] of `in.audio`, or [chunks, batch, levels, frames] where the configuration cuts it into chunks
                 (the last one filled up with zeros)
  out.decoded    [batch, channels, samples], from these codes, as long as `in.audio`
  noise.decoded  largest difference between the reference in f32 and in f64

It also holds the `encodec` package to the same codes, from the same weights under its own names. The versions used are added to
`versions.json`.
"""

import copy
import json
import os
import sys

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
# The folder of this file comes last, as `encodec` would be this file.
sys.path.append(sys.path.pop(0))

import encodec
import torch
from encodec.modules import SEANetDecoder, SEANetEncoder
from encodec.quantization import ResidualVectorQuantizer
from transformers import EncodecConfig, EncodecModel

from codec_case import MARGIN, NEW, OLD, Margins, fold, folder, note_versions, rename, respell, spread, wave, write, write_json

SIZES = dict(
    target_bandwidths=[0.4, 0.8, 1.6], sampling_rate=600, hidden_size=6, num_filters=4, upsampling_ratios=[3, 2],
    codebook_size=16,
)


def scale(name, noise):
    if name.endswith("original0"):
        return 1.0 + 0.3 * noise.clamp(-2, 2)
    if "lstm" in name:
        return 0.3 * noise
    if "norm.weight" in name:
        return 1.0 + 0.3 * noise
    if name.endswith("bias"):
        return 0.2 * noise
    if name.endswith("conv.weight"):
        return noise / (noise[0].numel() ** 0.5)
    return noise


def watch(model):
    """Sees how close every choice is."""
    margins = Margins()
    for layer in model.quantizer.layers:

        def quantize(vectors, of=layer.codebook, plain=layer.codebook.quantize):
            margins.see(-torch.cdist(vectors, of.embed).square())
            return plain(vectors)

        layer.codebook.quantize = quantize
    return margins


def run(model, audio, bandwidth):
    encoded = model.encode(audio, bandwidth=bandwidth)
    decoded = model.decode(encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=encoded.last_frame_pad_length)
    codes = encoded.audio_codes if model.config.chunk_length_s else encoded.audio_codes[0]
    return {"codes": codes, "decoded": decoded.audio_values[..., :audio.shape[-1]]}


def case(name, seed, audio, bandwidth, settings, edit=None):
    path = folder("encodec_" + name)
    model = EncodecModel(EncodecConfig(**(SIZES | settings)))
    spread(model.named_parameters(), seed, scale)
    books = {key: value for key, value in model.named_buffers() if key.endswith("embed")}
    spread(books.items(), seed + 1, lambda key, noise: noise * 0.8 ** int(key.split(".")[2]))
    model.save_pretrained(path)
    model = EncodecModel.from_pretrained(path).eval()
    if edit:
        edit(path)
    levels = model.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
    double = copy.deepcopy(model).double()
    margins = watch(model)
    with torch.no_grad():
        single, exact = run(model, audio, bandwidth), run(double, audio.double(), bandwidth)
    assert margins.least > MARGIN, (path, margins.least)
    write(path, {"kind": "encodec", "levels": levels}, {"audio": audio}, single, exact)
    return model, audio, single


def tensors(edit):
    return lambda path: rename(os.path.join(path, "model.safetensors"), edit)


def published(path):
    """As files on the hub are: old spelling, nulls, keys of that time absent."""
    config_path = os.path.join(path, "config.json")
    config = json.load(open(config_path))
    config |= {"chunk_length_s": None, "overlap": None, "torch_dtype": config.pop("dtype"), "transformers_version": "4.31.0.dev0"}
    del config["use_conv_shortcut"]
    write_json(config_path, config)
    tensors(respell(NEW, OLD))(path)


def check_package(model, audio, expected):
    """The package's own model, with the same weights: the names are those that the Rust tests make."""
    c = model.config
    shared = dict(
        channels=c.audio_channels, dimension=c.hidden_size, n_filters=c.num_filters, ratios=list(c.upsampling_ratios),
        norm="weight_norm", causal=True, true_skip=False,
    )
    quantizer = ResidualVectorQuantizer(c.hidden_size, c.num_quantizers, c.codebook_size)
    package = encodec.EncodecModel(
        SEANetEncoder(**shared), SEANetDecoder(**shared), quantizer, c.target_bandwidths, c.sampling_rate, c.audio_channels,
    ).eval()
    renamed = {}
    for name, value in respell(NEW, OLD)(model.state_dict()).items():
        name = name.replace(".layers.", ".model.", 1) if "coder." in name else name.replace("quantizer.", "quantizer.vq.", 1)
        name = name.replace(".codebook.", "._codebook.")
        is_stretch = name.startswith("decoder") and value.dim() == 3 and ".block." not in name and "shortcut" not in name
        inside = {".conv.": ".conv.conv."}
        number = name.split(".")[2]
        if name.startswith("decoder") and number in ("3", "6"):
            inside = {".conv.": ".convtr.convtr."}
        for old, new in inside.items():
            name = name.replace(old, new)
        renamed[name] = value
    package.load_state_dict(renamed, strict=True)
    package.set_target_bandwidth(0.8)
    with torch.no_grad():
        codes = package.encode(audio)[0][0]
    assert torch.equal(codes, expected["codes"])
    print("the package agrees")


def main():
    torch.set_num_threads(1)
    causal = case("causal", 1, wave((2, 1, 83), 21), 0.8, {}, published)
    check_package(*causal)
    centred = dict(
        upsampling_ratios=[5, 2, 2], use_causal_conv=False, use_conv_shortcut=False, num_residual_layers=2, sampling_rate=2000,
        target_bandwidths=[1.2], num_filters=2,
    )
    case("centred", 3, wave((1, 1, 131), 22), 1.2, centred)
    chunks = dict(
        audio_channels=2, normalize=True, norm_type="time_group_norm", use_causal_conv=False, chunk_length_s=0.08, overlap=0.25,
    )
    case("chunks", 5, wave((2, 2, 130), 23), 1.6, chunks)
    case("one_chunk", 7, wave((1, 2, 29), 24), 0.4, chunks | dict(num_filters=2))
    short = dict(trim_right_ratio=0.4, num_lstm_layers=1, compress=1, kernel_size=9)
    case("short", 9, wave((1, 1, 3), 25), 1.6, short, tensors(lambda all: fold(respell(NEW, OLD)(all))))
    other = dict(
        pad_mode="replicate", use_causal_conv=False, kernel_size=5, last_kernel_size=3, residual_kernel_size=5, compress=4,
        num_residual_layers=2, dilation_growth_rate=3,
    )
    case("replicate", 11, wave((1, 1, 47), 26), 0.8, other)
    case("constant", 13, wave((1, 1, 50), 27), 0.8, dict(pad_mode="constant", num_filters=2))
    note_versions("encodec", "transformers")


if __name__ == "__main__":
    main()
