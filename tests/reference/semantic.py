"""Golden fixtures for musicot-codec's self-supervised encoders, made by the reference implementation (transformers' Wav2Vec2Model
and HubertModel with Wav2Vec2FeatureExtractor; MERT is HubertModel with its configuration).

Usage: python tests/reference/semantic.py   (from the repository root; transformers 5, torch, safetensors)

Writes musicot-codec/tests/golden/semantic_*/: a tiny model with seeded random weights in the published layout (config.json,
preprocessor_config.json, model.safetensors or pytorch_model.bin), `kmeans.safetensors` with `centroids` [k, dim], the case (`case.json`,
`io.safetensors` with `in.wav` [batch, samples] or [samples]) and in `golden.safetensors`:

  out.hidden    [batch, frames, dim], hidden_states[layer]
  out.tokens    [batch, frames], the nearest centroids
  noise.hidden  largest difference between the reference in f32 and in f64

`last.safetensors` has the model's `last_hidden_state` and its `noise`. The versions used are added to `versions.json`.
"""

import collections
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
# The folder of this file comes last, as its files are called like packages.
sys.path.append(sys.path.pop(0))

import torch
from safetensors.torch import save_file
from transformers import (
    HubertConfig,
    HubertForCTC,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)
from transformers.models.hubert import modeling_hubert
from transformers.utils import logging

from codec_case import MARGIN, NEW, OLD, Margins, folder, note_versions, spread, write, write_json

SIZES = dict(
    vocab_size=12, hidden_size=16, num_hidden_layers=3, num_attention_heads=4, intermediate_size=24, conv_dim=[8] * 7,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, codevector_dim=8, proj_codevector_dim=6,
    num_codevectors_per_group=5,
)
LARGE = dict(feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True)
# Three convolutions: a token every 20 samples, that sees 30.
SHORT = dict(conv_dim=[8, 8, 10], conv_kernel=[10, 3, 2], conv_stride=[5, 2, 2])
CLUSTERS = 9


def scale(name, noise):
    if "running_var" in name:
        return 0.5 + noise.abs()
    if name.endswith("original0"):
        return 1.0 + 0.3 * noise.abs()
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * noise
    return 0.2 * noise if noise.dim() == 1 else 1.2 * noise / (noise[0].numel() ** 0.5)


def reference(path, dtype):
    """As a user would, from the files; every tensor must be found."""
    with open(os.path.join(path, "config.json")) as file:
        kind = json.load(file)["model_type"]
    if kind == "wav2vec2":
        model, report = Wav2Vec2Model.from_pretrained(path, output_loading_info=True)
    else:
        # MERT's own class is HubertModel where its configuration says what is common.
        settings = HubertConfig.from_json_file(os.path.join(path, "config.json"))
        model, report = HubertModel.from_pretrained(path, config=settings, output_loading_info=True)
        if getattr(settings, "deepnorm", False):
            deepen(model, settings)
    assert not report["missing_keys"] and not report["mismatched_keys"], report
    return model.eval().to(dtype)


def deepen(model, settings):
    """Deepnorm: both residual connections of a layer are scaled by (2 layers)^(1/4)."""
    scale = (2.0 * settings.num_hidden_layers) ** 0.25

    def forward(self, hidden_states, attention_mask=None, **more):
        mixed, _ = self.attention(hidden_states, attention_mask=attention_mask)
        hidden_states = self.layer_norm(scale * hidden_states + mixed)
        return self.final_layer_norm(scale * hidden_states + self.feed_forward(hidden_states))

    for layer in model.encoder.layers:
        assert type(layer) is modeling_hubert.HubertEncoderLayer
        layer.forward = forward.__get__(layer)


def normalised(path, wav, dtype):
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(path)
    values = extractor([row.numpy() for row in wav], sampling_rate=extractor.sampling_rate, return_tensors="pt").input_values
    if dtype == torch.float32:
        return values
    # The extractor works in f32 whatever it is given.
    wav = wav.to(dtype)
    if extractor.do_normalize:
        wav = (wav - wav.mean(-1, keepdim=True)) / torch.sqrt(wav.var(-1, correction=0, keepdim=True) + 1e-7)
    assert (values - wav).abs().max() < 1e-5
    return wav


def run(path, wav, layer, dtype):
    with torch.no_grad():
        outputs = reference(path, dtype)(normalised(path, wav, dtype), output_hidden_states=True)
    return outputs.hidden_states[layer], outputs.last_hidden_state


def distances(hidden, centroids):
    return hidden.square().sum(-1, keepdim=True) - 2 * hidden @ centroids.T + centroids.square().sum(-1)


def older_spelling(tensors):
    """Weight norm as in the files that are on the hub."""
    for new, old in zip(NEW, OLD):
        tensors = {name.replace(new, old): value for name, value in tensors.items()}
    return tensors


def case(name, seed, model, layer, length, batch=2, pickled=False, older=False, rate=16000, normalize=True, edit=None):
    """One directory. `edit(config)` changes config.json once it is saved."""
    path = folder("semantic_" + name)
    values = [*model.named_parameters(), *model.named_buffers()]
    spread([(key, value) for key, value in values if value.is_floating_point()], seed, scale)
    model.save_pretrained(path)
    if edit:
        with open(os.path.join(path, "config.json")) as file:
            settings = json.load(file)
        edit(settings)
        write_json(os.path.join(path, "config.json"), settings)
    Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=normalize).save_pretrained(path)
    tensors = {key: value.clone() for key, value in model.state_dict().items()}
    if older:
        tensors = older_spelling(tensors)
    if pickled:
        os.remove(os.path.join(path, "model.safetensors"))
        torch.save(collections.OrderedDict(tensors), os.path.join(path, "pytorch_model.bin"))
    else:
        save_file(tensors, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    # Rows of their own loudness and offset, so that their normalisation shows.
    generator = torch.Generator().manual_seed(seed + 1)
    wav = torch.randn([batch, length], generator=generator)
    wav = wav * torch.linspace(0.05, 0.4, batch).unsqueeze(-1) + torch.linspace(0.1, -0.05, batch).unsqueeze(-1)
    (hidden, last), (exact, exact_last) = (run(path, wav, layer, dtype) for dtype in (torch.float32, torch.float64))
    frames = exact.reshape(-1, exact.shape[-1])
    chosen = torch.randperm(len(frames), generator=generator)[:CLUSTERS]
    centroids = (frames[chosen] + 0.3 * torch.randn([CLUSTERS, frames.shape[-1]], generator=generator)).float().contiguous()
    save_file({"centroids": centroids}, os.path.join(path, "kmeans.safetensors"))
    apart, margins = distances(exact, centroids.double()), Margins()
    margins.see(-apart)
    assert margins.least > MARGIN, (path, margins.least)
    tokens = distances(hidden, centroids).argmin(-1)
    case = {"kind": "semantic", "layer": layer}
    single, double = {"hidden": hidden, "tokens": tokens}, {"hidden": exact, "tokens": apart.argmin(-1)}
    write(path, case, {"wav": wav if batch > 1 else wav[0]}, single, double)
    lasts = {"last_hidden_state": last.clone(), "noise": (last - exact_last).abs().max().float()}
    save_file(lasts, os.path.join(path, "last.safetensors"))
    print(f"  {list(hidden.shape)}, margin {margins.least:.1e}, {len(tokens.unique())} tokens")


def as_mert(settings):
    """The keys of MERT's own configuration."""
    settings.update(
        model_type="mert_model", architectures=["MERTModel"], attention_relax=-1.0, deepnorm=False, feature_extractor_cqt=False,
        feature_extractor_cqt_bins=336, sample_rate=24000, tokenizer_class="Wav2Vec2CTCTokenizer", transformers_version="4.20.1",
        auto_map={"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
    )
    settings["torch_dtype"] = settings.pop("dtype")
    settings.pop("conv_pos_batch_norm")


def as_deep_mert(settings):
    as_mert(settings)
    settings["deepnorm"] = True


def main():
    torch.set_num_threads(1)
    # Of the heads that the encoders do without.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wav2vec2 = lambda **more: Wav2Vec2Config(**(SIZES | more))
    hubert = lambda **more: HubertConfig(**(SIZES | more))
    case("wav2vec2_base", 1, Wav2Vec2Model(wav2vec2()), 2, 4213)
    case("wav2vec2_pretraining", 2, Wav2Vec2ForPreTraining(wav2vec2(**SHORT)), 0, 333, pickled=True, older=True)
    case("wav2vec2_large", 3, Wav2Vec2ForCTC(wav2vec2(**LARGE)), 3, 4079)
    case("hubert_base", 4, HubertModel(hubert(num_conv_pos_embeddings=7)), 1, 4500, batch=1, pickled=True, older=True)
    case("hubert_large", 5, HubertForCTC(hubert(**LARGE, **SHORT)), 2, 417, older=True)
    rare = dict(
        conv_pos_batch_norm=True, feat_proj_layer_norm=False, feat_extract_activation="relu", hidden_act="gelu_new",
        layer_norm_eps=1e-2,
    )
    case("hubert_rare", 6, HubertModel(hubert(**rare, **SHORT)), 3, 417, normalize=False)
    case("mert", 7, HubertModel(hubert()), 3, 4213, pickled=True, older=True, rate=24000, edit=as_mert)
    case("mert_deepnorm", 8, HubertModel(hubert(**SHORT)), 2, 417, rate=24000, edit=as_deep_mert)
    note_versions("transformers")


if __name__ == "__main__":
    main()
