"""Golden fixtures for musicot-clap, made by the reference implementation (transformers' ClapModel and BertModel).

Usage: python tests/reference/clap.py   (from the repository root; transformers 5, torch, tokenizers, numpy, safetensors)

Writes musicot-clap/tests/golden/{clap,bert}/: a tiny model with seeded random weights in the published layout, and the
reference's outputs in `golden.safetensors`. The versions used are added to `versions.json`.
"""

import json
import os
import sys
from importlib.metadata import version

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

ROOT = os.path.join("musicot-clap", "tests", "golden")
WORDS = "a calm slow fast solo piano guitar drums bass with and without music loud soft track of the plays alone".split()


def spread(model, generator):
    """Random values large enough that every term of the computation shows."""
    with torch.no_grad():
        for name, value in sorted(model.state_dict().items()):
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(0.5 + noise.abs())
            elif name.startswith("logit_scale"):
                pass
            elif value.dim() >= 2:
                value.copy_(noise * 0.25)
            else:
                value.add_(noise * 0.1)


def clap(folder):
    generator = torch.Generator().manual_seed(11)
    audio = dict(
        spec_size=64, num_mel_bins=16, window_size=4, patch_size=4, patch_stride=[4, 4], patch_embeds_hidden_size=8,
        depths=[2, 2, 1], num_attention_heads=[2, 2, 4], hidden_size=32, mlp_ratio=4.0, qkv_bias=True, layer_norm_eps=1e-5,
    )
    text = dict(
        vocab_size=len(WORDS) + 4, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=20, type_vocab_size=1, layer_norm_eps=1e-12, pad_token_id=1,
    )
    config = transformers.ClapConfig(audio_config=dict(audio), text_config=dict(text), projection_dim=12)
    model = transformers.ClapModel(config).eval()
    spread(model, generator)
    model.save_pretrained(folder)
    features = dict(sample_rate_hz=48000, n_fft=1024, hop_samples=480, min_hz=50.0, max_hz=14000.0,
                    mel_scale="slaney", mel_norm="slaney", window_samples=48000)
    ours = dict(
        projection_dim=12, logit_scale_init_value=1 / 0.07, features=features, audio_config=audio,
        text_config=dict(text, position_offset=2, pooling="cls_dense_tanh", max_tokens=16),
    )
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(ours, file, indent=2)

    vocabulary = {w: i for i, w in enumerate(["<s>", "<pad>", "</s>", "<unk>"] + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    texts = ["solo piano", "a calm track with guitar and soft drums", "loud"]
    encoded = tokenizer.encode_batch(texts)
    ids = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])

    full = torch.randn(2, 1, 256, 16, generator=generator) * 20 - 30
    short = torch.randn(2, 1, 101, 16, generator=generator) * 20 - 30
    with torch.no_grad():
        unit = lambda out: torch.nn.functional.normalize(getattr(out, "pooler_output", out), dim=-1)
        longer = torch.zeros(2, 1, dtype=torch.bool)
        outputs = {
            "mel_full": full[:, 0], "audio_full": unit(model.get_audio_features(input_features=full, is_longer=longer)),
            "mel_short": short[:, 0], "audio_short": unit(model.get_audio_features(input_features=short, is_longer=longer)),
            "text": unit(model.get_text_features(input_ids=ids, attention_mask=mask)),
        }

    # The front end at the published sizes, on a window of one second; half a second is repeated.
    extractor = transformers.ClapFeatureExtractor(
        feature_size=64, sampling_rate=48000, hop_length=480, max_length_s=1, fft_window_size=1024, frequency_min=50,
        frequency_max=14000, truncation="rand_trunc", padding="repeatpad",
    )
    samples = numpy.random.default_rng(5).normal(0, 0.1, 20000).astype(numpy.float32)
    samples *= numpy.linspace(0, 1, 20000, dtype=numpy.float32) ** 4
    outputs["samples"] = torch.from_numpy(samples)
    outputs["log_mel"] = extractor(samples, sampling_rate=48000, return_tensors="pt")["input_features"][0, 0].float()
    save_file({k: v.contiguous() for k, v in outputs.items()}, os.path.join(folder, "golden.safetensors"))


def bert(folder):
    generator = torch.Generator().manual_seed(12)
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = special + letters + ["##" + c for c in letters] + WORDS[1:] + ["##s", "##ing", "violin", "flute"]
    pieces = list(dict.fromkeys(pieces))
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([s for s in special if s != "[unused0]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", pieces.index("[CLS]")), ("[SEP]", pieces.index("[SEP]"))])
    os.makedirs(folder, exist_ok=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=40, type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0)
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    spread(model, generator)
    model.save_pretrained(folder)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    texts = ["Solo piano", "a calm violin plays slow music", "drumming pads"]
    encoded = tokenizer.encode_batch(texts)
    mask = torch.tensor([e.attention_mask for e in encoded])
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([e.ids for e in encoded]), attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    mean = (hidden * weights).sum(1) / weights.sum(1)
    save_file({"mean": mean.contiguous()}, os.path.join(folder, "golden.safetensors"))


if __name__ == "__main__":
    clap(os.path.join(ROOT, "clap"))
    bert(os.path.join(ROOT, "bert"))
    path = os.path.join(ROOT, "versions.json")
    with open(path) as file:
        versions = json.load(file)
    versions |= {name: version(name) for name in ("numpy", "tokenizers", "torch", "transformers")}
    with open(path, "w") as file:
        json.dump(dict(sorted(versions.items())), file, indent=2)
        file.write("\n")
    print(versions)
