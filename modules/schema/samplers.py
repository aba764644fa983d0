"""Names and facts of every sampler and noise schedule; the mathematics is in `engine/diffusion`.

Kept apart from the mathematics so that pages and API can list them without torch. Labels, aliases and facts are
those of AUTOMATIC1111 1.10.
"""

from __future__ import annotations

from dataclasses import dataclass

from modules.schema.registry import Registry


@dataclass(frozen=True)
class SamplerFacts:
    """`schedule`: what "Automatic" means. `calls_per_step`: 2 for second-order ones.

    `domain` is "sigma" or "timestep". `discard` drops the next-to-last sigma. `ensd`: ancestral noise that honours
    the eta noise seed delta. `churn`: honours s_churn, s_tmin, s_tmax.
    """

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    schedule: str = "uniform"
    domain: str = "sigma"
    calls_per_step: int = 1
    discard: bool = False
    ensd: bool = False
    brownian: bool = False
    churn: bool = False
    s_noise: bool = False


@dataclass(frozen=True)
class ScheduleFacts:
    name: str
    label: str
    aliases: tuple[str, ...] = ()
    default_rho: float = -1.0
    needs_model: bool = False


SAMPLERS: Registry[SamplerFacts] = Registry(
    "sampler",
    (
        SamplerFacts("dpmpp_2m", "DPM++ 2M", ("k_dpmpp_2m",), "karras"),
        SamplerFacts(
            "dpmpp_sde", "DPM++ SDE", ("k_dpmpp_sde",), "karras", calls_per_step=2, brownian=True, s_noise=True
        ),
        SamplerFacts("dpmpp_2m_sde", "DPM++ 2M SDE", ("k_dpmpp_2m_sde",), "exponential", brownian=True, s_noise=True),
        SamplerFacts(
            "dpmpp_2m_sde_heun",
            "DPM++ 2M SDE Heun",
            ("k_dpmpp_2m_sde_heun",),
            "exponential",
            brownian=True,
            s_noise=True,
        ),
        SamplerFacts(
            "dpmpp_2s_a", "DPM++ 2S a", ("k_dpmpp_2s_a",), "karras", calls_per_step=2, ensd=True, s_noise=True
        ),
        SamplerFacts(
            "dpmpp_3m_sde",
            "DPM++ 3M SDE",
            ("k_dpmpp_3m_sde",),
            "exponential",
            discard=True,
            brownian=True,
            s_noise=True,
        ),
        SamplerFacts("euler_a", "Euler a", ("k_euler_a", "k_euler_ancestral"), ensd=True),
        SamplerFacts("euler", "Euler", ("k_euler",), churn=True, s_noise=True),
        SamplerFacts("lms", "LMS", ("k_lms",)),
        SamplerFacts("heun", "Heun", ("k_heun",), calls_per_step=2, churn=True, s_noise=True),
        SamplerFacts(
            "dpm_2", "DPM2", ("k_dpm_2",), "karras", calls_per_step=2, discard=True, churn=True, s_noise=True
        ),
        SamplerFacts(
            "dpm_2_a", "DPM2 a", ("k_dpm_2_a",), "karras", calls_per_step=2, discard=True, ensd=True, s_noise=True
        ),
        SamplerFacts("dpm_fast", "DPM fast", ("k_dpm_fast",), ensd=True, s_noise=True),
        SamplerFacts("dpm_adaptive", "DPM adaptive", ("k_dpm_ad",), ensd=True, s_noise=True),
        SamplerFacts("restart", "Restart", ("restart",), "karras", calls_per_step=2, s_noise=True),
        SamplerFacts("ddim", "DDIM", ("ddim",), domain="timestep"),
        SamplerFacts("ddim_cfgpp", "DDIM CFG++", ("ddim_cfgpp",), domain="timestep"),
        SamplerFacts("plms", "PLMS", ("plms",), domain="timestep"),
        SamplerFacts("unipc", "UniPC", ("unipc",), domain="timestep"),
        SamplerFacts("lcm", "LCM", ("k_lcm",)),
    ),
)

AUTOMATIC = "Automatic"

SCHEDULES: Registry[ScheduleFacts] = Registry(
    "schedule type",
    (
        ScheduleFacts("automatic", AUTOMATIC),
        ScheduleFacts("uniform", "Uniform", needs_model=True),
        ScheduleFacts("karras", "Karras", default_rho=7.0),
        ScheduleFacts("exponential", "Exponential"),
        ScheduleFacts("polyexponential", "Polyexponential", default_rho=1.0),
        ScheduleFacts("sgm_uniform", "SGM Uniform", ("SGMUniform",), needs_model=True),
        ScheduleFacts("kl_optimal", "KL Optimal"),
        ScheduleFacts("align_your_steps", "Align Your Steps"),
        ScheduleFacts("simple", "Simple", needs_model=True),
        ScheduleFacts("normal", "Normal", needs_model=True),
        ScheduleFacts("ddim", "DDIM", needs_model=True),
        ScheduleFacts("beta", "Beta", needs_model=True),
        ScheduleFacts("turbo", "Turbo", needs_model=True),
        ScheduleFacts("align_your_steps_GITS", "Align Your Steps GITS"),
        ScheduleFacts("align_your_steps_11", "Align Your Steps 11"),
        ScheduleFacts("align_your_steps_32", "Align Your Steps 32"),
    ),
)


def split_sampler_name(name: str) -> tuple[str, str | None]:
    """`DPM++ 2M Karras` (the names of A1111 up to 1.8) as sampler label and schedule label, or (name, None).

    A schedule that is the sampler's own default comes back as "Automatic".
    """
    name = name.strip()
    if name in SAMPLERS:
        return SAMPLERS.get(name).label, None
    words = name.split(" ")
    for cut in range(1, len(words)):
        sampler, schedule = " ".join(words[:cut]), " ".join(words[cut:])
        if sampler in SAMPLERS and schedule in SCHEDULES:
            facts, kind = SAMPLERS.get(sampler), SCHEDULES.get(schedule)
            return facts.label, AUTOMATIC if facts.schedule == kind.name else kind.label
    for suffix, schedule in (("_ka", "Karras"), ("_exp", "Exponential")):
        if name.endswith(suffix) and name.removesuffix(suffix) in SAMPLERS:
            facts = SAMPLERS.get(name.removesuffix(suffix))
            kind = SCHEDULES.get(schedule)
            return facts.label, AUTOMATIC if facts.schedule == kind.name else kind.label
    return name, None
