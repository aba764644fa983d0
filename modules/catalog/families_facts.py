"""What tensor names and shapes say about a model file: what kind it is, and which family a checkpoint belongs to.

No torch here: the same facts serve the catalog (which has only a file's header) and the engine. Nothing depends on
the networks' widths, so a miniature of a family is recognised like its full-sized siblings.

Layouts: the original Stable Diffusion repositories' (`model.diffusion_model.*`, `first_stage_model.*`,
`cond_stage_model.*` or `conditioner.embedders.*`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from modules.schema.errors import BadRequest

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
INPUT_CONV = UNET + "input_blocks.0.0.weight"


@dataclass(frozen=True)
class FamilyFacts:
    """`native`: side of the square the family was trained on, in pixels. `supported`: this version draws with it."""

    name: str
    label: str
    native: int
    supported: bool = False


FAMILIES: dict[str, FamilyFacts] = {
    facts.name: facts
    for facts in (
        FamilyFacts("sd1", "Stable Diffusion 1", 512, supported=True),
        FamilyFacts("sd2", "Stable Diffusion 2", 768),
        FamilyFacts("sdxl", "Stable Diffusion XL", 1024),
        FamilyFacts("sdxl-refiner", "Stable Diffusion XL refiner", 1024),
        FamilyFacts("sd3", "Stable Diffusion 3", 1024),
        FamilyFacts("sd2-depth", "Stable Diffusion 2 depth", 512),
        FamilyFacts("sd2-unclip", "Stable Diffusion 2 unCLIP", 768),
        FamilyFacts("alt-diffusion", "AltDiffusion", 512),
        FamilyFacts("flux", "FLUX", 1024),
    )
}


Recognise = Callable[[Shapes], bool]
_RECOGNISERS: dict[str, Recognise] = {}


def add_family(facts: FamilyFacts, recognise: Recognise) -> Callable[[], None]:
    """Take in a further family, which is looked for before all others; gives back what undoes that.

    Raises BadRequest where there is another one of that name.
    """
    if FAMILIES.get(facts.name, facts) != facts:
        raise BadRequest(f"There is a model family named {facts.name!r} already.")
    FAMILIES[facts.name] = facts
    _RECOGNISERS[facts.name] = recognise

    def undo() -> None:
        FAMILIES.pop(facts.name, None)
        _RECOGNISERS.pop(facts.name, None)

    return undo


@dataclass(frozen=True)
class Identity:
    """`family` is a key of FAMILIES; `input_channels` of the UNet: 4 plain, 9 inpainting, 8 instruct-pix2pix."""

    family: str
    input_channels: int = 4
    text_encoder: bool = True
    vae: bool = True
    ema: bool = False

    @property
    def inpainting(self) -> bool:
        return self.input_channels == 9

    @property
    def instruct(self) -> bool:
        return self.input_channels == 8 and self.family in ("sd1", "sdxl")


# In the order of testing. Where several hold, the first one decides.
_FAMILY_BY_KEY = (
    (UNET + "x_embedder.proj.weight", "sd3"),
    (UNET + "double_blocks.0.img_attn.qkv.weight", "flux"),
    ("conditioner.embedders.1.model.ln_final.weight", "sdxl"),
    ("depth_model.model.pretrained.act_postprocess3.0.project.0.bias", "sd2-depth"),
    ("embedder.model.ln_final.weight", "sd2-unclip"),
    ("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", "sd2"),
    ("cond_stage_model.model.ln_final.weight", "sd2"),
)
_REFINER_KEY = "conditioner.embedders.0.model.ln_final.weight"
_SD2_TURBO_WIDTH = 1024
_FAMILY_BY_CONTEXT = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner"}


def _by_unet(shapes: Shapes) -> str:
    """The family of a file without a telling text encoder, by the width of its cross-attention and its `proj_in`."""
    context = next(
        (s[-1] for k, s in shapes.items() if k.startswith(UNET) and k.endswith("attn2.to_k.weight") and s), 0
    )
    known = _FAMILY_BY_CONTEXT.get(context)
    if known is not None:
        return known
    # SD2 and later have linear layers where SD1 has 1x1 convolutions.
    linear = any(len(s) == 2 for k, s in shapes.items() if k.startswith(UNET) and k.endswith(".proj_in.weight"))
    return "sd2" if linear else "sd1"


def _family(shapes: Shapes, names: _Names) -> str:
    for family, recognise in _RECOGNISERS.items():
        if recognise(shapes):
            return family
    for key, family in _FAMILY_BY_KEY:
        if key in shapes:
            return family
    if _REFINER_KEY in shapes:
        return "sd2" if shapes[_REFINER_KEY][:1] == (_SD2_TURBO_WIDTH,) else "sdxl-refiner"
    if names.begin_with("cond_stage_model.roberta."):
        return "alt-diffusion"
    if names.begin_with("cond_stage_model.transformer."):
        return "sd1"
    return _by_unet(shapes)


def identify(shapes: Shapes) -> Identity | None:
    """The identity of a whole checkpoint in the original layout; None when it holds no diffusion network.

    `shapes`: every tensor's shape by name; an empty tuple where the shape is unknown.
    """
    names = _Names(shapes)
    if not names.begin_with(UNET):
        return None
    conv = shapes.get(INPUT_CONV, ())
    return Identity(
        family=_family(shapes, names),
        input_channels=conv[1] if len(conv) == 4 else 4,
        text_encoder=names.begin_with("cond_stage_model.", "conditioner.", "text_encoders."),
        vae=names.begin_with(VAE),
        ema=names.begin_with("model_ema."),
    )


class _Names:
    """All names in one text, one a line: a search through a thousand of them is then a single one."""

    def __init__(self, names: Iterable[str]) -> None:
        self._text = "\n" + "\n".join(names) + "\n"

    def begin_with(self, *prefixes: str) -> bool:
        return any("\n" + prefix in self._text for prefix in prefixes)

    def contain(self, *parts: str) -> bool:
        return any(part in self._text for part in parts)

    def include(self, *wanted: str) -> bool:
        return any(f"\n{name}\n" in self._text for name in wanted)


@dataclass(frozen=True)
class Kind:
    """What a model file is, in words for the user, and the folder where such files belong ("" = none of ours)."""

    name: str
    words: str
    folder: str = ""


CHECKPOINT = Kind("checkpoint", "a checkpoint", "models/Stable-diffusion")
LORA = Kind("lora", "a LoRA", "models/Lora")
VAE_FILE = Kind("vae", "a VAE", "models/VAE")
EMBEDDING = Kind("embedding", "a textual-inversion embedding", "embeddings")
HYPERNETWORK = Kind("hypernetwork", "a hypernetwork", "models/hypernetworks")
UPSCALER = Kind("upscaler", "an upscaler", "models/ESRGAN")
CONTROLNET = Kind("controlnet", "a ControlNet")
BARE_UNET = Kind("unet", "only the UNet of a checkpoint, without its text encoder and VAE")
TEXT_ENCODER = Kind("text-encoder", "only a text encoder")
UNKNOWN = Kind("unknown", "not a kind of model that is known here")

_LORA_PARTS = (
    ".lora_up.",
    ".lora_down.",
    ".lora_A.",
    ".lora_B.",
    ".lora.up.",
    ".hada_w1",
    ".lokr_w",
    ".oft_",
    ".lora_mid.",
)
_CONTROL_PARTS = ("control_model.", "controlnet_cond_embedding", "input_hint_block.", "controlnet_blocks.")
_UPSCALER_NAMES = ("conv_first.weight", "model.0.weight", "params_ema.conv_first.weight", "params.conv_first.weight")
_BARE_UNET_NAMES = (
    "input_blocks.0.0.weight",
    "time_embedding.linear_1.weight",
    "double_blocks.0.img_attn.qkv.weight",
    "x_embedder.proj.weight",
)


def kind_of(shapes: Shapes) -> Kind:
    """What kind of model a file with these tensors is."""
    names = _Names(shapes)
    tests = (
        (names.contain(*_LORA_PARTS) or names.begin_with("lora_unet_", "lora_te"), LORA),
        (names.contain(*_CONTROL_PARTS), CONTROLNET),
        (names.begin_with(UNET), CHECKPOINT),
        (names.include("decoder.conv_in.weight") or names.begin_with(VAE), VAE_FILE),
        (names.include("emb_params", "clip_l", "clip_g", "string_to_param", "string_to_token"), EMBEDDING),
        (names.include("activation_func", "layer_structure"), HYPERNETWORK),
        (names.include(*_BARE_UNET_NAMES), BARE_UNET),
        (names.contain("text_model.encoder.layers.", "transformer.resblocks."), TEXT_ENCODER),
        (names.include(*_UPSCALER_NAMES), UPSCALER),
    )
    found = next((kind for holds, kind in tests if holds), None)
    if found is not None:
        return found
    return EMBEDDING if _single_embedding(shapes) else UNKNOWN


def _single_embedding(shapes: Shapes) -> bool:
    """diffusers' learned embeddings: one tensor, named by its token, of one or a few vectors."""
    return len(shapes) == 1 and all("." not in name and 1 <= len(shape) <= 2 for name, shape in shapes.items())
