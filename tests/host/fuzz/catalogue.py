"""The nodes that graphs are made of, and their sockets and widgets as the schemas tell them."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.fuzz.given import GIVEN

OURS = "Stereo_"

HOST = """
KSampler KSamplerAdvanced SamplerCustom SamplerCustomAdvanced
KSamplerSelect SamplerEulerAncestral SamplerDPMPP_2M_SDE SamplerDPMPP_3M_SDE SamplerLMS SamplerER_SDE SamplerLCM
BasicScheduler KarrasScheduler ExponentialScheduler BetaSamplingScheduler VPScheduler SplitSigmas SplitSigmasDenoise
FlipSigmas SetFirstSigma ExtendIntermediateSigmas
RandomNoise DisableNoise CFGGuider BasicGuider DualCFGGuider PerpNegGuider
LoraLoaderModelOnly FreeU FreeU_V2 PerturbedAttentionGuidance SelfAttentionGuidance SkipLayerGuidanceDiT EasyCache
LazyCache HyperTile TomePatchModel DifferentialDiffusion RescaleCFG ModelSamplingDiscrete ModelSamplingFlux
ModelMergeSimple Mahiro APG CFGZeroStar NAGuidance TCFG FreSca ContextWindowsManual WanContextWindowsManual
PatchModelAddDownscale VideoLinearCFGGuidance ModelComputeDtype
ConditioningCombine ConditioningSetArea ConditioningSetAreaPercentage
ConditioningSetAreaStrength ConditioningSetMask ConditioningZeroOut ConditioningSetTimestepRange ConditioningMultiply
ControlNetApplyAdvanced InpaintModelConditioning SVD_img2vid_Conditioning SV3D_Conditioning WanImageToVideo
WanVaceToVideo PairConditioningSetProperties CreateHookModelAsLora ConditioningTimestepsRange
EmptyLatentImage EmptySD3LatentImage EmptyHunyuanLatentVideo EmptyLTXVLatentVideo SetLatentNoiseMask LatentUpscale
LatentFlip LatentRotate LatentCrop LatentBatch LatentFromBatch RepeatLatentBatch LatentAdd LatentMultiply
LatentComposite TrimVideoLatent
VAEDecode VAEEncode
ImageScale ImageInvert ImageBatch ImagePadForOutpaint ImageCrop RepeatImageBatch ImageFromBatch
MaskToImage ImageToMask InvertMask SolidMask
""".split()
"""The host's nodes that stand between ours."""

_MODULES = """
latent custom_sampler images mask post_processing cond freelunch pag sag slg easycache hypertile tomesd
differential_diffusion model_advanced model_merging mahiro apg cfg nag tcfg fresca context_windows model_downscale
video_model stable3d wan hooks hunyuan sd3 lt perpneg advanced_samplers flux
""".split()
"""The host's files that have them, beside ``nodes.py``."""


@dataclass(frozen=True)
class Socket:
    """An input that takes a link."""

    name: str
    kind: str
    optional: bool


@dataclass(frozen=True)
class Widget:
    """An input that takes a value.

    Attributes:
        kind: INT, FLOAT, BOOLEAN, STRING or COMBO.
        settings: ``min``, ``max``, ``step``, ``default``, ``options``.
    """

    name: str
    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What a node takes and gives."""

    name: str
    sockets: tuple[Socket, ...]
    widgets: tuple[Widget, ...]
    outputs: tuple[str, ...]

    @property
    def ours(self) -> bool:
        return self.name.startswith(OURS)


def fits(given: str, asked: str) -> bool:
    """Tell whether the host links an output of this type to an input of that one."""
    from comfy_execution.validation import validate_node_input

    return validate_node_input(given, asked)


class Catalogue:
    """All nodes.

    Attributes:
        classes: the host's and ours, by name.
        kinds: by name; those that can be made of what is given.
    """

    def __init__(self, classes: dict[str, type], host_path: Path) -> None:
        _load_more(host_path)
        self.classes = classes
        ours = [name for name in classes if name.startswith(OURS)]
        kinds = [kind for name in (*ours, *HOST) if (kind := _read(name, classes[name])) is not None]
        kinds += [Kind(name, (), (), (given.kind,)) for name, given in GIVEN.items()]
        self.kinds = {kind.name: kind for kind in kinds}

    @functools.cache  # noqa: B019  # one catalogue lives as long as the tests
    def heights(self, family: str) -> dict[str, int]:
        """How many nodes a graph with a node of each kind has at least in its longest path, beside a family's model;
        kinds that cannot be made are left out."""
        kinds = [kind for kind in self.kinds.values() if kind.name not in GIVEN or GIVEN[kind.name].suits(family)]
        heights: dict[str, int] = {}
        for height in range(1, len(kinds)):
            made = {output for kind in kinds if kind.name in heights for output in kind.outputs}
            more = {
                kind.name: height
                for kind in kinds
                if kind.name not in heights
                and all(socket.optional or any(fits(output, socket.kind) for output in made) for socket in kind.sockets)
            }
            if not more:
                break
            heights |= more
        return heights

    @functools.cache  # noqa: B019
    def producers(self, asked: str, family: str) -> list[tuple[Kind, int]]:
        """Kinds and slots whose output an input of this type takes."""
        return [
            (self.kinds[name], slot)
            for name in self.heights(family)
            for slot, given in enumerate(self.kinds[name].outputs)
            if fits(given, asked)
        ]


def _read(name: str, node: type) -> Kind | None:
    """Return a node's kind, or ``None`` where its inputs grow or there is nothing to choose from."""
    sockets, widgets = [], []
    for need, inputs in node.INPUT_TYPES().items():
        if need not in ("required", "optional"):
            continue
        for key, (kind, *rest) in inputs.items():
            settings = dict(rest[0]) if rest else {}
            if isinstance(kind, list):
                kind, settings = "COMBO", {**settings, "options": kind}
            if kind.startswith("COMFY_"):
                return None
            if kind not in ("INT", "FLOAT", "BOOLEAN", "STRING", "COMBO") or settings.get("forceInput"):
                sockets.append(Socket(key, kind, need == "optional"))
            elif kind == "COMBO" and not settings.get("options"):
                return None
            else:
                widgets.append(Widget(key, kind, settings))
    return Kind(name, tuple(sockets), tuple(widgets), tuple(node.RETURN_TYPES))


def _load_more(host_path: Path) -> None:
    """Load the host's further nodes, as the host does when it starts."""
    import nodes

    for module in _MODULES:
        file = host_path / "comfy_extras" / f"nodes_{module}.py"
        if not asyncio.run(nodes.load_custom_node(str(file), module_parent="comfy_extras")):
            raise RuntimeError(f"{file.name} did not load.")
