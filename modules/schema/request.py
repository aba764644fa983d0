"""What can be asked for: one picture job. Every parameter of it is declared here, once.

If it changes a pixel, it is in here. A *resolved* request (see `modules/service/resolve.py`) has no -1 seed, no
"Automatic" checkpoint and no alias left in it; run again, it gives the same picture.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.parts import Hires, ImageInput, Inpaint, Refiner, SoftInpaint
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES

__all__ = ["MAX_SEED", "Frozen", "GenerationRequest"]

MAX_SEED = 2**32 - 1


class GenerationRequest(Frozen):
    """A job: everything that decides its pixels. Its parts (img2img, hires fix, ...) are None where they are off.

    `batch_count` batches of `batch_size` pictures; picture i uses seed + i (or subseed + i where a variation strength
    is set).
    """

    prompt: str = knob(
        "",
        "Prompt",
        "What the picture shows. (word:1.2) strengthens, [a:b:0.5] changes "
        "half-way, [a|b] takes turns, a AND b mixes.",
    )
    negative_prompt: str = knob(
        "", "Negative prompt", "What the picture should not show. Unused at CFG scale 1.", infotext="Negative prompt"
    )
    checkpoint: str = knob(
        "",
        "Checkpoint",
        "Model file: title, file name, stem or hash. Empty means the one selected in the settings.",
        section="model",
        infotext="Model",
    )
    vae: str = knob(
        AUTOMATIC,
        "VAE",
        "Decoder of the picture: Automatic (side file, else the checkpoint's own), \"None\" (the checkpoint's own) "
        "or a file of models/VAE.",
        section="model",
        infotext="VAE",
    )
    clip_skip: int = knob(
        1, "Clip skip", "Take the text encoder's output n layers before its end; 1 is its last layer.",
        section="model", infotext="Clip skip", ge=1, le=24, soft_le=12, step=1,
    )  # fmt: skip
    use_ema: bool = knob(
        False, "Use EMA weights", "Take the averaged weights of a full training file where it has them.",
        section="model", infotext="EMA weights",
    )  # fmt: skip
    sampler: str = knob(
        "DPM++ 2M", "Sampling method", "How noise becomes a picture.", infotext="Sampler", choices=SAMPLERS.labels
    )
    scheduler: str = knob(
        AUTOMATIC, "Schedule type", "How the noise level falls from step to step; Automatic is the sampler's own.",
        infotext="Schedule type", choices=SCHEDULES.labels,
    )  # fmt: skip
    steps: int = knob(20, "Sampling steps", "Steps from noise to picture.", infotext="Steps", ge=1, le=1000,
                      soft_le=150, step=1)  # fmt: skip
    width: int = knob(512, "Width", "Width of the picture; rounded to a multiple of 8.", ge=16, le=8192,
                      soft_le=2048, step=8, unit="px")  # fmt: skip
    height: int = knob(512, "Height", "Height of the picture; rounded to a multiple of 8.", ge=16, le=8192,
                       soft_le=2048, step=8, unit="px")  # fmt: skip
    batch_count: int = knob(1, "Batch count", "How many batches, one after another.", ge=1, le=1000, soft_le=100,
                            step=1)  # fmt: skip
    batch_size: int = knob(1, "Batch size", "Pictures drawn at the same time; needs memory.", ge=1, le=64, soft_le=8,
                           step=1)  # fmt: skip
    cfg_scale: float = knob(
        7.0, "CFG scale", "How strongly the picture follows the prompt; 1 leaves the negative prompt out.",
        infotext="CFG scale", ge=0, le=100, soft_le=30, step=0.5,
    )  # fmt: skip
    seed: int = knob(-1, "Seed", "Start of the random numbers; -1 draws one.", infotext="Seed", ge=-1, le=2**63 - 1,
                     step=1)  # fmt: skip

    subseed: int = knob(-1, "Variation seed", "Seed of the variation mixed in; -1 draws one.", section="variation",
                        infotext="Variation seed", ge=-1, le=2**63 - 1, step=1)  # fmt: skip
    subseed_strength: float = knob(0.0, "Variation strength", "How much of the variation is mixed in.",
                                   section="variation", infotext="Variation seed strength", ge=0, le=1,
                                   step=0.01)  # fmt: skip
    seed_resize_from_w: int = knob(0, "Resize seed from width", "Keep the composition of this width; 0 is off.",
                                   section="variation", ge=0, le=8192, soft_le=2048, step=8, unit="px")  # fmt: skip
    seed_resize_from_h: int = knob(0, "Resize seed from height", "Keep the composition of this height; 0 is off.",
                                   section="variation", ge=0, le=8192, soft_le=2048, step=8, unit="px")  # fmt: skip

    emphasis: Literal["Original", "No norm", "Ignore", "None"] = knob(
        "Original", "Emphasis", "How (weights) act: Original keeps the mean, No norm does not, Ignore drops them, "
        "None takes brackets as text.", section="prompt", infotext="Emphasis",
    )  # fmt: skip
    comma_padding_backtrack: int = knob(
        20, "Comma backtrack", "When 75 tokens are full, break at a comma at most this many tokens back; 0 is off.",
        section="prompt", infotext="Comma backtrack", ge=0, le=74, step=1,
    )  # fmt: skip
    pad_cond_uncond: bool = knob(
        False, "Pad prompt and negative to one length", "Needed by some old pictures; otherwise only a speed matter.",
        section="prompt", infotext="Pad conds",
    )  # fmt: skip
    pad_cond_uncond_v0: bool = knob(
        False, "Cut the negative to the prompt's length", "Or repeat its last word up to there, as DDIM of old did.",
        section="prompt", infotext="Pad conds v0",
    )  # fmt: skip
    use_old_scheduling: bool = knob(
        False, "Old prompt editing timelines", "In [from:to:when], 1.5 is step 1, as in A1111 before 1.6; otherwise "
        "the middle of the hires pass.", section="prompt", infotext="Old prompt editing timelines",
    )  # fmt: skip

    rng: Literal["GPU", "CPU", "NV"] = knob(
        "CPU", "Random number source", "CPU: same on every machine. NV: those of an NVIDIA card, on every machine. "
        "GPU: those of the device in use.", section="noise", infotext="RNG",
    )  # fmt: skip
    ensd: int = knob(0, "Eta noise seed delta", "Added to the seed for the noise of ancestral steps.",
                     section="noise", infotext="ENSD", ge=-(2**31), le=2**31, step=1)  # fmt: skip
    eta: float | None = knob(None, "Eta", "Noise of ancestral samplers; empty is 1.", section="sampler",
                             infotext="Eta", ge=0, le=10, soft_le=1, step=0.01)  # fmt: skip
    eta_ddim: float = knob(0.0, "Eta DDIM", "Noise of DDIM.", section="sampler", infotext="Eta DDIM", ge=0, le=10,
                           soft_le=1, step=0.01)  # fmt: skip
    s_churn: float = knob(0.0, "Sigma churn", "Noise put back at each step (Euler, Heun, DPM2).", section="sampler",
                          infotext="Sigma churn", ge=0, le=100, step=0.01)  # fmt: skip
    s_tmin: float = knob(0.0, "Sigma tmin", "Churn above this sigma only.", section="sampler", infotext="Sigma tmin",
                         ge=0, le=10000, soft_le=10, step=0.01)  # fmt: skip
    s_tmax: float = knob(0.0, "Sigma tmax", "Churn below this sigma only; 0 is no limit.", section="sampler",
                         infotext="Sigma tmax", ge=0, le=10000, soft_le=999, step=0.01)  # fmt: skip
    s_noise: float = knob(1.0, "Sigma noise", "Strength of the noise that is put back.", section="sampler",
                          infotext="Sigma noise", ge=0, le=10, soft_le=1.1, step=0.001)  # fmt: skip
    sigma_min: float = knob(0.0, "Schedule min sigma", "Lower end of the schedule; 0 is the model's.",
                            section="sampler", infotext="Schedule min sigma", ge=0, le=100, soft_le=2,
                            step=0.01)  # fmt: skip
    sigma_max: float = knob(0.0, "Schedule max sigma", "Upper end of the schedule; 0 is the model's.",
                            section="sampler", infotext="Schedule max sigma", ge=0, le=10000, soft_le=60,
                            step=0.1)  # fmt: skip
    rho: float = knob(0.0, "Schedule rho", "Bend of the Karras schedule; 0 is its own (7).", section="sampler",
                      infotext="Schedule rho", ge=0, le=100, soft_le=30, step=0.1)  # fmt: skip
    beta_alpha: float = knob(0.6, "Beta schedule alpha", "First number of the Beta schedule.", section="sampler",
                             infotext="Beta schedule alpha", ge=0.01, le=5, step=0.01)  # fmt: skip
    beta_beta: float = knob(0.6, "Beta schedule beta", "Second number of the Beta schedule.", section="sampler",
                            infotext="Beta schedule beta", ge=0.01, le=5, step=0.01)  # fmt: skip
    discard_penultimate: bool = knob(False, "Discard penultimate sigma", "Leave out the last but one noise level.",
                                     section="sampler", infotext="Discard penultimate sigma")  # fmt: skip
    sgm_noise_multiplier: bool = knob(False, "SGM noise multiplier", "Scale the first noise as SGM does.",
                                      section="sampler", infotext="SGM noise multiplier")  # fmt: skip
    enable_quantization: bool = knob(False, "Quantize timesteps", "Use only the noise levels of the training.",
                                     section="sampler", infotext="Quantize timesteps")  # fmt: skip
    unipc_variant: Literal["bh1", "bh2", "vary_coeff"] = knob("bh1", "UniPC variant", "Form of the UniPC solver.",
                                                              section="sampler",
                                                              infotext="UniPC variant")  # fmt: skip
    unipc_skip_type: Literal["time_uniform", "time_quadratic", "logSNR"] = knob(
        "time_uniform", "UniPC skip type", "Spacing of UniPC's steps.", section="sampler",
        infotext="UniPC skip type")  # fmt: skip
    unipc_order: int = knob(3, "UniPC order", "Order of the UniPC solver.", section="sampler",
                            infotext="UniPC order", ge=1, le=50, soft_le=8, step=1)  # fmt: skip
    unipc_lower_order_final: bool = knob(True, "UniPC lower order final", "Lower the order in the last steps.",
                                         section="sampler", infotext="UniPC lower order final")  # fmt: skip

    s_min_uncond: float = knob(
        0.0, "Negative guidance minimum sigma", "Below this sigma every second step leaves the negative prompt out.",
        section="guidance", infotext="NGMS", ge=0, le=15, step=0.01)  # fmt: skip
    s_min_uncond_all: bool = knob(False, "NGMS all steps", "Leave it out at every step below that sigma.",
                                  section="guidance", infotext="NGMS all steps")  # fmt: skip
    skip_early_cond: float = knob(0.0, "Ignore negative prompt during early sampling",
                                  "Fraction of the steps at the start without the negative prompt.",
                                  section="guidance", infotext="Skip Early CFG", ge=0, le=1, step=0.01)  # fmt: skip

    noise_schedule: Literal["Default", "Zero Terminal SNR"] = knob(
        "Default", "Noise schedule", "Zero Terminal SNR rescales the training noise for models trained that way.",
        section="model", infotext="Noise Schedule")  # fmt: skip
    downcast_alphas_cumprod: bool = knob(False, "Downcast alphas_cumprod", "As pictures made before A1111 1.8.",
                                         section="model", infotext="Downcast alphas_cumprod")  # fmt: skip
    precision: Literal["auto", "fp32", "bf16", "fp16"] = knob(
        "auto", "Precision", "Number format of the networks; auto is the fastest good one of the device.",
        section="model", infotext="Precision")  # fmt: skip
    tiling: bool = knob(False, "Tiling", "Make the picture's edges fit each other.", section="model",
                        infotext="Tiling")  # fmt: skip
    face_restoration: Literal["None", "GFPGAN", "CodeFormer"] = knob(
        "None", "Face restoration", "Draws the faces of a finished picture anew; needs the model's file in "
        "models/GFPGAN or models/Codeformer.", section="model", infotext="Face restoration")  # fmt: skip
    codeformer_weight: float = knob(0.5, "CodeFormer weight", "0: strongest, 1: nearest to the picture.",
                                    section="model", infotext="Face restoration weight", ge=0, le=1,
                                    step=0.01)  # fmt: skip

    image: ImageInput | None = None
    inpaint: Inpaint | None = None
    soft_inpaint: SoftInpaint | None = None
    hires: Hires | None = None
    refiner: Refiner | None = None

    styles: tuple[str, ...] = ()
    """Names of saved prompts to be put into the prompts; a resolved request has their texts there instead."""

    extensions: dict[str, Any] = Field(default_factory=dict)

    @property
    def image_count(self) -> int:
        return self.batch_count * self.batch_size

    def image_seeds(self, index: int) -> tuple[int, int]:
        """(seed, subseed) of picture `index` of this job; needs resolved seeds."""
        seed = self.seed if self.subseed_strength else self.seed + index
        return seed, self.subseed + index

    def for_image(self, index: int) -> Self:
        """The request of picture `index` alone: run by itself it gives the same picture."""
        seed, subseed = self.image_seeds(index)
        return self.replace(seed=seed, subseed=subseed, batch_count=1, batch_size=1)
