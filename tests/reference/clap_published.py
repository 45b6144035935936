"""Golden cases for musicot-clap: published directories and original checkpoints, against transformers and laion_clap.

Usage: python tests/reference/clap_published.py   (from the repository root; laion-clap 1.1.7, safetensors, tokenizers, torch, torchaudio,
torchvision, transformers 5)

Writes musicot-clap/tests/golden/clap_*/: a tiny model with seeded random weights in the layout of transformers' `ClapModel` or of the original
code, the case (`case.json`, `io.safetensors` with `in.wav.N` and, for long clips, `in.offset.N`), and in `golden.safetensors`:

  out.mel.N             [pictures, frames, bands], what the front end makes of a clip, dB
  out.text_ids          [texts, max_length]
  out.audio_embeds, out.text_embeds   [.., dim], unit vectors
  out.logits_per_audio  [clips, texts]
  noise.NAME            largest difference between the reference in f32 and in f64 (for frames: an exact spectrum), for each of them

The starts of random crops are those of `in.offset.N`: one sample or, with fusion, a frame of each third. The versions used are added to
`versions.json`.
"""

import collections
import functools
import importlib.metadata
import json
import math
import os
import shutil
import sys
import unittest.mock

# Lets a torch without its CUDA libraries be imported on a machine without a GPU.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy
import tokenizers
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file

# The original package loads tokenizers from the network when it is imported; none of them is used here.
for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
    unittest.mock.patch.object(getattr(transformers, name), "from_pretrained").start()
import laion_clap.training.data
from clap_module.htsat import HTSAT_Swin_Transformer
from clap_module.model import CLAP

unittest.mock.patch.stopall()

ROOT = os.path.join("musicot-clap", "tests", "golden")
RATE = 4000
AUDIO = dict(
    spec_size=64, num_mel_bins=16, window_size=4, patch_size=4, patch_stride=[4, 4], patch_embeds_hidden_size=8,
    depths=[2, 1], num_attention_heads=[2, 4], hidden_size=16,
)
STAGES = dict(depths=[2, 2, 1], num_attention_heads=[2, 2, 4], hidden_size=32)
TEXT = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=30)
FRONT = dict(
    feature_size=16, sampling_rate=RATE, hop_length=40, max_length_s=1, fft_window_size=128, frequency_min=50,
    frequency_max=1900, truncation="rand_trunc", padding="repeatpad",
)
CORPUS = [
    "a calm piano piece with soft drums and a warm bass, played slowly in a large hall",
    "the loud guitar plays a fast riff; naïve café, déjà vu, Ölüdeniz",
    "音楽 ピアノ 音楽", "🎸🎹 drums 🎸🎸", "solo piano  with   spaces\n\tand tabs", "It's 120 BPM, isn't it?",
]
TEXTS = [
    "a calm piano", " a calm piano", "", "naïve café 音楽 🎸👩‍🎤", "the loud  guitar\n\tplays it's riff!  ",
    "a fast riff and a slow bass and soft drums and a warm hall", "x <mask>y<pad> z</s>",
]
ROLES = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", sep_token="</s>", pad_token="<pad>", cls_token="<s>")


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def vocabulary(folder, swallow=None):
    """Byte-level pairs of a few hundred entries, `<mask>` last as in RoBERTa. `swallow`: what the older files say of `<mask>`."""
    trained = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(CORPUS * 3, vocab_size=400, min_frequency=4, special_tokens=special)
    trained.save_model(folder)
    path = os.path.join(folder, "vocab.json")
    with open(path) as file:
        entries = json.load(file)
    entries["<mask>"] = len(entries)
    with open(path, "w") as file:
        json.dump(entries, file, ensure_ascii=False)
    if swallow is not None:
        mask = dict(content="<mask>", single_word=False, lstrip=swallow, rstrip=False, normalized=False)
        write_json(os.path.join(folder, "special_tokens_map.json"), ROLES | {"mask_token": mask})
        settings = dict(add_prefix_space=False, model_max_length=512, tokenizer_class="RobertaTokenizer", trim_offsets=True)
        mask = {"__type": "AddedToken"} | mask
        write_json(os.path.join(folder, "tokenizer_config.json"), settings | ROLES | {"mask_token": mask})
    return len(entries)


def whole_tokenizer(folder):
    """The same as one tokenizer.json, with the files transformers 5 writes."""
    transformers.RobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        os.remove(os.path.join(folder, name))
    # It holds where it was read from.
    path = os.path.join(folder, "tokenizer_config.json")
    with open(path) as file:
        settings = json.load(file)
    write_json(path, {k: v for k, v in settings.items() if k not in ("is_local", "local_files_only")})


def spread(tensors, seed):
    """Random values large enough that every term of the computation shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(tensors.items()):
            if not value.is_floating_point() or any(part in name for part in ("attn_mask", "spectrogram", "logmel")):
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(0.5 + noise.abs() * (200 if "batch_norm" in name or "bn0" in name else 1))
            elif name.endswith("running_mean"):
                value.copy_(noise * 5 - 20 if "batch_norm" in name or "bn0" in name else noise * 0.3)
            elif name.startswith("logit_scale"):
                value.copy_(math.log(1 / 0.07) + 0.3 * noise)
            elif value.dim() >= 2:
                value.copy_(noise * 0.25)
            else:
                value.add_(noise * 0.1)


def clip(length, seed):
    """A decaying chord in noise, so that frames are loud and soft."""
    generator = numpy.random.default_rng(seed)
    time = numpy.arange(length) / RATE
    tones = sum(numpy.sin(2 * numpy.pi * hz * time + hz) for hz in generator.uniform(60, 1800, 4))
    return ((0.2 * tones + generator.normal(0, 0.05, length)) * numpy.exp(-2 * time)).astype(numpy.float32)


class Exact(transformers.ClapFeatureExtractor):
    """The front end without a rounding."""

    def _np_extract_fbank_features(self, waveform, mel_filters=None):
        size, hop = self.fft_window_size, self.hop_length
        padded = numpy.pad(waveform.astype(numpy.float64), size // 2, mode="reflect")
        window = numpy.hanning(size + 1)[:-1]
        starts = range(0, len(padded) - size + 1, hop)
        power = numpy.stack([numpy.abs(numpy.fft.rfft(padded[s : s + size] * window)) ** 2 for s in starts])
        return 10 * numpy.log10(numpy.maximum(power @ mel_filters, 1e-10))


def crop(offset):
    """The random draws of the front ends, drawn."""
    draws = iter([] if offset is None else numpy.atleast_1d(offset).tolist())

    def take(choices, *_):
        start = next(draws)
        assert numpy.ndim(choices) == 0 or start in choices, (start, choices)
        return start

    return unittest.mock.patch.multiple(numpy.random, choice=take, randint=lambda low, high: next(draws))


def finish(folder, kind, options, clips, outputs, exact):
    """Writes a case and prints its noise."""
    inputs = {f"in.wav.{i}": torch.from_numpy(wav) for i, (wav, _) in enumerate(clips)}
    inputs |= {f"in.offset.{i}": torch.tensor(offset) for i, (_, offset) in enumerate(clips) if offset is not None}
    save_file(inputs, os.path.join(folder, "io.safetensors"))
    golden = {"out." + name: value.contiguous() for name, value in outputs.items()}
    for name, value in outputs.items():
        if value.is_floating_point():
            assert value.dtype == torch.float32 and exact[name].dtype == torch.float64, name
            golden["noise." + name] = (value - exact[name]).abs().max().float()
        else:
            assert torch.equal(value, exact[name]), name
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    write_json(os.path.join(folder, "case.json"), {"kind": kind} | options)
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)) // 1024
    print(folder, f"{size} KiB", {k[6:]: float(f"{v:.1e}") for k, v in golden.items() if k.startswith("noise.")})


def run(folder, extractor_class, dtype, clips, max_length):
    extractor = extractor_class.from_pretrained(folder)
    model = transformers.ClapModel.from_pretrained(folder, dtype=torch.float32).to(dtype).eval()
    tokens = transformers.RobertaTokenizer.from_pretrained(folder)(
        TEXTS, padding="max_length", truncation=True, max_length=max_length, return_tensors="pt")
    outputs, embeds = {"text_ids": tokens["input_ids"]}, []
    with torch.no_grad():
        for i, (wav, offset) in enumerate(clips):
            with crop(offset):
                # Its parts, as the whole would declare a short clip of a model with fusion a long one.
                mel, longer = extractor._get_input_mel(
                    wav, extractor.nb_max_samples, extractor.truncation, extractor.padding)
            mel = outputs[f"mel.{i}"] = torch.from_numpy(mel).to(dtype)
            out = model.get_audio_features(input_features=mel[None], is_longer=torch.tensor([[longer]]))
            embeds.append(out.pooler_output)
        audio = outputs["audio_embeds"] = torch.cat(embeds)
        text = outputs["text_embeds"] = model.get_text_features(**tokens).pooler_output
        outputs["logits_per_audio"] = model.logit_scale_a.exp() * audio @ text.T
    return outputs


def published(name, seed, lengths, audio={}, text={}, front={}, more={}, max_length=16, swallow=None, edit=None, shard=None):
    """A directory of transformers. `lengths`: samples of each clip and the start of its crop; `edit(folder)` changes the files once they are
    saved."""
    folder = os.path.join(ROOT, "clap_" + name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    vocab = vocabulary(folder, swallow)
    config = transformers.ClapConfig(
        audio_config=AUDIO | audio, text_config=TEXT | {"vocab_size": vocab} | text, projection_dim=12, **more)
    model = transformers.ClapModel(config).eval()
    spread(model.state_dict(), seed)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    transformers.ClapFeatureExtractor(**(FRONT | front)).save_pretrained(folder)
    if edit:
        edit(folder)
    clips = [(clip(length, seed + i), offset) for i, (length, offset) in enumerate(lengths)]
    both = [run(folder, front_end, dtype, clips, max_length) for front_end, dtype in
            ((transformers.ClapFeatureExtractor, torch.float32), (Exact, torch.float64))]
    finish(folder, "clap", {"texts": TEXTS, "max_length": max_length}, clips, *both)


def as_version_4(folder):
    """What transformers 4 wrote into published directories: other keys, and the settings of text generation in every object."""
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    config.pop("dtype")
    config.pop("projection_hidden_act")
    usual = dict(
        _name_or_path="", add_cross_attention=False, bad_words_ids=None, do_sample=False, diversity_penalty=0.0, is_decoder=False,
        length_penalty=1.0, max_length=20, num_beams=1, pruned_heads={}, repetition_penalty=1.0, temperature=1.0, top_k=50, top_p=1.0,
        tf_legacy_loss=False, tie_encoder_decoder=False, tie_word_embeddings=True, torchscript=False, torch_dtype=None, typical_p=1.0,
        use_bfloat16=False, transformers_version="4.27.0.dev0",
    )
    config["text_config"] |= usual | dict(
        classifier_dropout=None, fusion_hidden_size=768, fusion_num_hidden_layers=2, position_embedding_type="absolute", use_cache=True)
    config["audio_config"] |= usual | dict(
        enable_patch_fusion=True, fusion_num_hidden_layers=2, patch_size=4, patch_stride=[4, 4], projection_hidden_size=768)
    write_json(path, config | dict(torch_dtype="float32", transformers_version=None))
    path = os.path.join(folder, "preprocessor_config.json")
    with open(path) as file:
        settings = json.load(file)
    more = dict(chunk_length_s=1, n_fft=128, nb_max_frames=25, processor_class="ClapProcessor")
    write_json(path, settings | more)


def as_pickle(folder):
    path = os.path.join(folder, "model.safetensors")
    torch.save(collections.OrderedDict(load_file(path)), os.path.join(folder, "pytorch_model.bin"))
    os.remove(path)


def as_processor(folder):
    """The front end within the file of the whole processor, as transformers 5 writes it."""
    with open(os.path.join(folder, "preprocessor_config.json")) as file:
        settings = json.load(file)
    write_json(os.path.join(folder, "processor_config.json"),
               {"feature_extractor": settings, "processor_class": "ClapProcessor"})
    os.remove(os.path.join(folder, "preprocessor_config.json"))
    whole_tokenizer(folder)


class Settings:
    sample_rate, window_size, hop_size, mel_bins, fmin, fmax = RATE, 64, 40, 16, 50, 1900

    @classmethod
    def all(cls):
        return {k: getattr(cls, k) for k in ("sample_rate", "window_size", "hop_size", "mel_bins", "fmin", "fmax")}


def original(fusion, vocab):
    """The original model, without its constructor, which has the sizes of its text tower fixed and loads it from the network."""
    torch.manual_seed(0)
    model = CLAP.__new__(CLAP)
    torch.nn.Module.__init__(model)
    model.audio_branch = HTSAT_Swin_Transformer(
        spec_size=64, patch_size=4, patch_stride=(4, 4), num_classes=5, embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=4,
        config=Settings, enable_fusion=fusion, fusion_type="aff_2d" if fusion else "None")
    settings = transformers.RobertaConfig(vocab_size=vocab, **TEXT | {"max_position_embeddings": 90}, type_vocab_size=1, layer_norm_eps=1e-5)
    model.text_branch, model.text_branch_type = transformers.RobertaModel(settings), "roberta"
    layers = lambda width: torch.nn.Sequential(torch.nn.Linear(width, 12), torch.nn.ReLU(), torch.nn.Linear(12, 12))
    model.text_projection, model.audio_projection = layers(16), layers(16)
    # For training only.
    model.text_transform = torch.nn.ModuleDict({"sequential": layers(12)})
    model.audio_transform = torch.nn.ModuleDict({"sequential": layers(12)})
    model.logit_scale_a = torch.nn.Parameter(torch.zeros([]))
    model.logit_scale_t = torch.nn.Parameter(torch.zeros([]))
    return model.eval(), settings


def run_original(folder, weights, dtype, fusion, clips):
    torch.set_default_dtype(dtype)
    with open(os.path.join(folder, "vocab.json")) as file:
        model, _ = original(fusion, len(json.load(file)))
    # The transform and the bank have no weights; made anew, they are as exact as the type.
    own = {k: v for k, v in weights.items() if "spectrogram" not in k and "logmel" not in k}
    missing, unexpected = model.load_state_dict(own, strict=False)
    assert not unexpected and all("spectrogram" in k or "logmel" in k for k in missing), (missing, unexpected)
    tokens = transformers.RobertaTokenizer.from_pretrained(folder)(
        TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
    outputs, embeds = {"text_ids": tokens["input_ids"]}, []
    # Smoothed since some version of torchvision; the models were trained without.
    resize = functools.partial(torchvision.transforms.Resize, antialias=False)
    with torch.no_grad(), unittest.mock.patch.object(torchvision.transforms, "Resize", resize):
        for i, (wav, offset) in enumerate(clips):
            # With fusion it also draws a window, which is not used.
            draws = [*offset, 0] if fusion and offset is not None else offset
            with crop([0] if draws is None and len(wav) > RATE else draws):
                sample = laion_clap.training.data.get_audio_features(
                    {}, torch.from_numpy(wav).to(dtype), RATE, "fusion" if fusion else "rand_trunc", "repeatpad", Settings.all())
            branch = model.audio_branch
            if fusion:
                outputs[f"mel.{i}"] = sample["mel_fusion"].clone()
            else:
                outputs[f"mel.{i}"] = branch.logmel_extractor(branch.spectrogram_extractor(sample["waveform"][None]))[0]
            embeds.append(model.get_audio_embedding([sample]))
        audio = outputs["audio_embeds"] = torch.cat(embeds)
        text = outputs["text_embeds"] = model.get_text_embedding(dict(tokens))
        outputs["logits_per_audio"] = model.logit_scale_a.exp() * audio @ text.T
    torch.set_default_dtype(torch.float32)
    return outputs


def laion(name, seed, fusion, lengths, save):
    folder = os.path.join(ROOT, "clap_" + name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model, settings = original(fusion, vocabulary(folder, swallow=True))
    spread(model.state_dict(), seed)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    # As in files of transformers before version 4.31.
    stored = weights | {"text_branch.embeddings.position_ids": torch.arange(90).expand(1, -1).clone()}
    save(folder, stored)
    front = dict(truncation="fusion" if fusion else "rand_trunc", fft_window_size=64)
    transformers.ClapFeatureExtractor(**(FRONT | front)).save_pretrained(folder)
    # What shapes do not tell of a tower this small.
    settings.save_pretrained(folder)
    clips = [(clip(length, seed + i), offset) for i, (length, offset) in enumerate(lengths)]
    both = [run_original(folder, weights, dtype, fusion, clips) for dtype in (torch.float32, torch.float64)]
    finish(folder, "clap_laion", {"texts": TEXTS}, clips, *both)


def as_safetensors(folder, weights):
    weights = {k: v.contiguous() for k, v in weights.items()}
    save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def as_checkpoint(folder, weights):
    """A file of the original training, with what it keeps beside the weights."""
    named = collections.OrderedDict(("module." + k, v) for k, v in weights.items())
    moments = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    top = {"epoch": 45, "name": "tiny", "state_dict": named, "optimizer": moments, "top5": {0: numpy.float64(0.5)}}
    torch.save(top, os.path.join(folder, "tiny_fusion.pt"))


def main():
    torch.set_num_threads(1)
    # Shorter than a hop, shorter than a window, a window, and longer.
    short = [(30, None), (1500, None), (4000, None)]
    published("unfused", 1, [*short, (5200, 777)], audio=STAGES, edit=whole_tokenizer)
    # The reference shrinks long clips to 64 bands, whatever `feature_size` says.
    bands, front = dict(num_mel_bins=64), dict(feature_size=64, hop_length=160, fft_window_size=256, truncation="fusion")
    # Of 26 frames, the second one too.
    published(
        "fused", 2, [(900, None), (4030, None), (7001, [3, 9, 15])], audio=bands | dict(enable_fusion=True, aff_block_r=2), front=front,
        swallow=True, edit=as_version_4)
    # Windows of attention that must be filled up, patches that overlap, other activations.
    other = dict(
        window_size=3, patch_size=6, qkv_bias=False, hidden_act="relu", enable_patch_layer_norm=False, drop_path_rate=0.2, mlp_ratio=2.5)
    published(
        "repeat", 3, [*short[1:], (4100, 100)], audio=other, text=dict(hidden_act="gelu_new", pad_token_id=1),
        more=dict(projection_hidden_act="gelu"), front=dict(padding="repeat"), shard="30KB", max_length=9, edit=as_processor)
    published("pad", 4, short[1:], front=dict(padding="pad", frequency_min=0, frequency_max=3000), edit=as_pickle, max_length=5)
    # Four pictures as the channels of one.
    published(
        "channels", 5, [(700, None), (6000, [0, 6, 12])], audio=bands | dict(patch_embed_input_channels=4, depths=[1, 1]),
        text=dict(num_hidden_layers=1), front=front)
    # Bands that are stretched to the image's rows, and a window that fills the image.
    published(
        "bands", 6, [(700, None), (5099, 1000)], audio=dict(num_mel_bins=14, depths=[1, 2], num_attention_heads=[1, 4]),
        text=dict(num_hidden_layers=1), more=dict(projection_hidden_act="silu"), front=dict(feature_size=14, sampling_rate=4080, hop_length=16))
    laion("laion", 7, False, [(1500, None), (4000, None), (5200, [321])], as_safetensors)
    laion("laion_fused", 8, True, [(900, None), (7001, [3, 40, 75])], as_checkpoint)
    path = os.path.join(ROOT, "versions.json")
    with open(path) as file:
        versions = json.load(file)
    for name in ("laion-clap", "numpy", "safetensors", "tokenizers", "torch", "torchaudio", "torchvision", "transformers"):
        versions[name] = importlib.metadata.version(name)
    write_json(path, dict(sorted(versions.items())))
    print(versions)


if __name__ == "__main__":
    main()
