"""CLIP-T and CLIP-F by the host's CLIP against transformers' one, of the same random weights."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from tests.host.tiny.weights import save
from tools.benchmarks import clips_measures as measures

WIDTH, PROMPT = 32, "A red cube (turning), 8k; it's  1.5 times larger"
_BLOCKS = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def other() -> CLIPModel:
    """As deep as the host knows ViT-L by, and narrow."""
    text, vision = ({**_BLOCKS, "num_hidden_layers": layers} for layers in (2, 24))
    vision |= {"image_size": 224, "patch_size": 14}
    network = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)).eval()
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(0, 0.2 if weight.ndim > 1 else 0.02, generator=generator)
            if "norm" in name and name.endswith("weight"):
                weight.add_(1)
            weight.copy_(weight.half())  # as which the host holds them
    return network


@pytest.fixture
def file(other: CLIPModel, own_folders: dict[str, type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One file with both parts, as Hugging Face has them, for a host that takes ViT-L for as narrow."""
    import comfy.clip_vision
    import comfy.sd

    assert own_folders
    shape = {**other.config.vision_config.to_dict(), "model_type": "clip_vision_model", "projection_dim": WIDTH}
    vision = comfy.clip_vision.ClipVisionModel
    monkeypatch.setattr(comfy.clip_vision, "ClipVisionModel", lambda _: vision(shape))
    text = {"model_config": {**_BLOCKS, "num_hidden_layers": 2}}
    load = comfy.sd.load_clip
    monkeypatch.setattr(comfy.sd, "load_clip", lambda **given: load(**{**given, "model_options": text}))
    other.save_pretrained(tmp_path)
    return tmp_path / "model.safetensors"


def clips(*size: int) -> tuple[Tensor, Tensor]:
    """Two clips (2, 3, H, W) of blots in the colours of a screen."""
    rough = torch.rand(4, 3, 7, 9, generator=torch.Generator().manual_seed(7))
    made = torch.nn.functional.interpolate(rough, size, mode="bicubic").clamp(0, 1)
    return ((made * 255).round() / 255).chunk(2)


@functools.cache
def tokenizer(host_path: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(host_path / "comfy" / "sd1_tokenizer")


def cosines(other: CLIPModel, host_path: Path, left: Tensor, right: Tensor) -> tuple[list[float], list[float]]:
    """Of right frames with the prompt, and with the left frames, by transformers alone."""
    processor = CLIPImageProcessor()
    assert (processor.crop_size["height"], processor.size["shortest_edge"]) == (224, 224)
    words = tokenizer(host_path)(PROMPT, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        text = other.get_text_features(**words)
        seen = [
            other.get_image_features(processor(list((clip * 255).round().byte()), return_tensors="pt").pixel_values)
            for clip in (left, right)
        ]
    text, *seen = (getattr(part, "pooler_output", part) for part in (text, *seen))
    by_text, by_frames = (torch.cosine_similarity(part, seen[1]).tolist() for part in (text, seen[0]))
    return by_text, by_frames


def test_clip_scores_are_those_of_transformers(
    other: CLIPModel, file: Path, own_folders: dict[str, type], host_path: Path
):
    left, right = clips(224, 224)
    judges = measures.load_judges(own_folders, [file], None)
    by_text, by_frames = cosines(other, host_path, left, right)
    seen = judges.pictures(right)
    assert torch.cosine_similarity(judges.text(PROMPT), seen).tolist() == pytest.approx(by_text, abs=1e-4)
    assert torch.cosine_similarity(judges.pictures(left), seen).tolist() == pytest.approx(by_frames, abs=1e-4)
    assert by_text[0] != pytest.approx(by_text[1], abs=1e-3)  # so that another picture would be told


def test_clip_sees_what_transformers_shows_it(host: dict[str, type]):
    from comfy.clip_model import clip_preprocess

    assert host
    frames, _ = clips(480, 832)
    seen = CLIPImageProcessor()(list((frames * 255).round().byte()), return_tensors="pt").pixel_values
    step = 1 / 255 / 0.26  # where the std is least
    torch.testing.assert_close(clip_preprocess(frames.movedim(1, -1)), seen, rtol=0, atol=2.1 * step)


def test_a_clip_whose_parts_do_not_fit_is_refused_before_a_clip_is_made(
    other: CLIPModel,
    file: Path,
    own_folders: dict[str, type],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    for lacking in ("text", "visual"):
        cut = tmp_path / f"{lacking}.safetensors"
        save({k: v for k, v in other.state_dict().items() if k != f"{lacking}_projection.weight"}, cut)
        with pytest.raises(ValueError, match=f"--clip: .*{lacking}.safetensors has no {lacking}_projection"):
            measures.load_judges(own_folders, [cut], None)
    narrow = SimpleNamespace(encode_image=lambda image: {"image_embeds": image.new_ones(len(image), 8)})
    monkeypatch.setattr(measures, "_vision", lambda *_: narrow)  # as of another CLIP
    with pytest.raises(ValueError, match="--clip: text has 32 values and pictures 8"):
        measures.load_judges(own_folders, [file], None)
