"""What a training can be asked for: new words (textual inversion) or a LoRA, learned from pictures with captions.

Names, defaults and words are A1111's where it has them. What decides the pictures of a training's model (checkpoint,
VAE, clip skip, emphasis) stands in `preview`, the request of its previews, and holds for the training as well.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import MAX_SEED, GenerationRequest

Method = Literal["Textual inversion", "LoRA"]
NormControl = Literal["Free", "Keep", "Direction"]
Latents = Literal["once", "deterministic", "random"]
LEARN_RATES: dict[Method, str] = {"Textual inversion": "0.005", "LoRA": "0.0001"}
"""The usual rate of what is learned: A1111's for vectors, a fiftieth of it for a LoRA's weights."""
EMBEDDING_FORMATS = ("safetensors", "pt", "png")


class TrainingRequest(Frozen):
    """A training run: what is learned, from which pictures, how, and what is shown meanwhile.

    `run` names the run's folder below the log directory; it is given when the run is first submitted, and a request
    with a `run` that exists goes on with it. `steps` counts from the run's beginning. `start` names an embedding
    whose vectors the word begins with, in place of the initialization text.
    """

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["training"] = "training"
    method: Method = knob(
        "Textual inversion", "What is learned", "A new word (small file, any prompt), or a LoRA (changes the model).",
        section="what",
    )  # fmt: skip
    name: str = knob("", "Name", "The new word, and the name of its file.", section="what")
    init_text: str = knob(
        "painting", "Initialization text", "Words whose meaning the new word begins with.", section="what"
    )
    num_vectors_per_token: int = knob(
        4, "Number of vectors per token", "More hold more detail and take more of a prompt's 75 tokens.",
        section="what", ge=1, le=75, soft_le=16, step=1,
    )  # fmt: skip
    overwrite_old: bool = knob(False, "Overwrite old embedding", "Replace a file of that name.", section="what")

    data_root: str = knob("", "Dataset", "Folder of the pictures: a data set's name, or a path.", section="data")
    template_filename: str = knob(
        "style_filewords.txt", "Prompt template", "Texts that the pictures are trained with: [name] is the new word, "
        "[filewords] the picture's caption.", section="data",
    )  # fmt: skip
    training_width: int = knob(512, "Width", "Width that pictures are trained at.", section="data", ge=64, le=2048,
                               step=8, unit="px")  # fmt: skip
    training_height: int = knob(512, "Height", "Height that pictures are trained at.", section="data", ge=64,
                                le=2048, step=8, unit="px")  # fmt: skip
    fit: Literal["Buckets", "Crop", "Stretch", "Original size"] = knob(
        "Buckets", "Fit", "Buckets: each picture at the size of that area nearest to its shape. Crop: cut to width "
        "and height. Stretch: as A1111. Original size: not resized.", section="data",
    )  # fmt: skip
    flip: bool = knob(False, "Flipped copies", "Learn from mirrored pictures too; not for faces or text.",
                      section="data")  # fmt: skip
    use_weight: bool = knob(False, "Use PNG alpha channel or mask as loss weight", "Transparent parts, or those "
                            "black in NAME-mask.png, are not learned.", section="data")  # fmt: skip
    shuffle_tags: bool = knob(False, "Shuffle tags", "A new order of the caption's tags at each step.",
                              section="data")  # fmt: skip
    tag_drop_out: float = knob(0.0, "Drop out tags", "Share of tags left out at each step.", section="data", ge=0,
                               le=1, step=0.1)  # fmt: skip
    latent_sampling_method: Latents = knob(
        "once", "Latent sampling", "once: one draw from the encoder for each picture; deterministic: its mean; "
        "random: a new draw at each step.", section="data",
    )  # fmt: skip

    learn_rate: str = knob(
        LEARN_RATES["Textual inversion"], "Learning rate", "One rate, or rates with their last steps: 0.005:100, "
        "1e-3:1000, 1e-5. For a LoRA about 0.0001.", section="learning",
    )  # fmt: skip
    steps: int = knob(1000, "Max steps", "Steps from the run's beginning.", section="learning", ge=1, le=1_000_000,
                      soft_le=10_000, step=1)  # fmt: skip
    batch_size: int = knob(1, "Batch size", "Pictures learned from at the same time; needs memory.",
                           section="learning", ge=1, le=64, soft_le=16, step=1)  # fmt: skip
    gradient_step: int = knob(1, "Gradient accumulation steps", "Batches that make up a step; needs no memory.",
                              section="learning", ge=1, le=256, soft_le=16, step=1)  # fmt: skip
    clip_grad_mode: Literal["disabled", "value", "norm"] = knob(
        "disabled", "Gradient clipping", "Limit of a step's gradient.", section="learning"
    )
    clip_grad_value: str = knob("0.1", "Clipping amount", "A number, or numbers with their last steps, as for the "
                                "learning rate.", section="learning")  # fmt: skip
    norm_control: NormControl = knob(
        "Keep", "Length of the vectors", "Free: as A1111. Keep: near that of the model's own words. Direction: only "
        "the direction is learned, on the sphere.", section="learning",
    )  # fmt: skip
    ema: float = knob(0.0, "Average of the vectors", "Decay of a running average that is saved instead of the "
                      "newest; 0 is off.", section="learning", ge=0, le=0.9999, step=0.01)  # fmt: skip
    seed: int = knob(-1, "Seed", "Start of the training's random numbers; -1 draws one.", section="learning", ge=-1,
                     le=MAX_SEED, step=1)  # fmt: skip
    precision: Literal["auto", "fp32", "bf16", "fp16"] = knob(
        "auto", "Precision", "auto is what is fast on this device.", section="learning"
    )
    gradient_checkpointing: bool = knob(False, "Gradient checkpointing", "Half the memory for a third more time.",
                                        section="learning")  # fmt: skip

    lora_rank: int = knob(8, "LoRA rank", "Size of the LoRA.", section="lora", ge=1, le=256, soft_le=64, step=1)
    lora_alpha: float = knob(8.0, "LoRA alpha", "Its strength is alpha / rank.", section="lora", ge=0.01, le=1024,
                             soft_le=64, step=1)  # fmt: skip
    lora_layers: Literal["Attention", "Attention and convolutions"] = knob(
        "Attention", "LoRA layers", "Which layers of the UNet are changed.", section="lora"
    )
    lora_text_encoder: bool = knob(True, "LoRA in the text encoder", "Change how words are read as well.",
                                   section="lora")  # fmt: skip

    evaluate_every: int = knob(50, "Evaluate every N steps", "Loss on fixed pictures, noise and captions; 0 is off.",
                               section="watching", ge=0, le=100_000, soft_le=1000, step=10)  # fmt: skip
    evaluation_pictures: int = knob(8, "Pictures of the evaluation", "How many fixed (picture, noise, time) draws.",
                                    section="watching", ge=1, le=256, soft_le=32, step=1)  # fmt: skip
    auto_stop: bool = knob(False, "Stop by itself", "When the evaluation loss has stopped falling.",
                           section="watching")  # fmt: skip
    create_image_every: int = knob(100, "Save an image every N steps", "Previews at fixed seeds; 0 is off.",
                                   section="watching", ge=0, le=100_000, soft_le=1000, step=10)  # fmt: skip
    save_embedding_every: int = knob(100, "Save a copy every N steps", "Usable at once as NAME-STEP; 0 is off.",
                                     section="watching", ge=0, le=100_000, soft_le=1000, step=10)  # fmt: skip
    save_image_with_stored_embedding: bool = knob(
        True, "Save images with embedding in PNG chunks", "Previews that carry the word they show.",
        section="watching",
    )  # fmt: skip
    embedding_format: Literal["safetensors", "pt", "png"] = knob(
        "safetensors", "File format", "safetensors; pt as A1111 writes it; png is a card that carries the word.",
        section="watching",
    )  # fmt: skip
    log_directory: str = knob("textual_inversion", "Log directory", "Folder of the runs.", section="watching")

    preview: GenerationRequest = Field(
        default_factory=lambda: GenerationRequest(prompt="a picture in the style of [name]", batch_count=2, seed=1)
    )
    run: str = ""
    start: str = ""

    @model_validator(mode="before")
    @classmethod
    def _usual_rate(cls, given: Any) -> Any:
        """Who asks for a LoRA and says no rate means a LoRA's."""
        if isinstance(given, dict) and given.get("method") == "LoRA" and "learn_rate" not in given:
            return {**given, "learn_rate": LEARN_RATES["LoRA"]}
        return given

    @property
    def image_count(self) -> int:
        return 0


class TrainingPicture(Frozen):
    """One picture of a data set as it is trained: absolute `path`, `sha256` of the file, what of it is taken (`box`:
    left, upper, right, lower in the upright picture; None is all of it) and the size it is brought to.

    `mask`: "" weighs everything the same, "alpha" by the picture's own, else the absolute path of a mask.
    """

    path: str
    sha256: str
    caption: str
    box: tuple[int, int, int, int] | None = None
    width: int
    height: int
    flip: bool = False
    mask: str = ""


class TrainingSet(Frozen):
    """All pictures of a run in the order of the data set, and the lines of its template."""

    pictures: tuple[TrainingPicture, ...]
    template: tuple[str, ...]


PRESETS: dict[str, dict[str, Any]] = {
    "Quick look": {"steps": 150, "evaluate_every": 25, "create_image_every": 50, "save_embedding_every": 50},
    "Style, 70 pictures": {
        "steps": 500, "gradient_step": 4, "learn_rate": "0.005:300, 0.001", "num_vectors_per_token": 8,
        "template_filename": "style_filewords.txt",
    },
    "Object, 10 pictures": {
        "steps": 1500, "num_vectors_per_token": 3, "template_filename": "subject_filewords.txt", "init_text": "thing",
    },
}  # fmt: skip
"""Changes of a request by the preset's name: where to begin. Measured on the miniature (docs/benchmarks.md), not on
models of full size."""
