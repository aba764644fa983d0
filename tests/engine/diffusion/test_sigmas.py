import pytest
import torch
from scipy import stats  # type: ignore[import-untyped]

from modules.engine.diffusion.incomplete_beta import beta_cdf, beta_quantile
from modules.engine.diffusion.sigmas import build_sigmas
from modules.schema.errors import BadRequest, UnknownName
from modules.schema.samplers import SCHEDULES
from tests.engine.diffusion.fakes import SD1

UNIFORM = "14.6146 5.0924 2.2797 1.1629 0.5712 0.0292 0"
SIX = [
    ("Uniform", {}, UNIFORM),
    ("Automatic", {}, UNIFORM),
    ("Normal", {}, UNIFORM),
    ("Karras", {}, "14.6146 6.0821 2.2322 0.6926 0.1698 0.0292 0"),
    ("Karras", {"discard": True}, "14.6146 7.0944 3.1686 1.2741 0.4469 0.1303 0"),
    ("Karras", {"sigma_min": 0.1, "sigma_max": 10}, "10 4.9181 2.2325 0.9164 0.3303 0.1 0"),
    ("Exponential", {}, "14.6146 4.2151 1.2157 0.3506 0.1011 0.0292 0"),
    ("Polyexponential", {}, "14.6146 4.2151 1.2157 0.3506 0.1011 0.0292 0"),
    ("Polyexponential", {"rho": 2}, "14.6146 1.5589 0.2734 0.0789 0.0374 0.0292 0"),
    ("SGM Uniform", {}, "14.6146 5.9489 2.9183 1.6156 0.9324 0.4936 0"),
    ("SGMUniform", {}, "14.6146 5.9489 2.9183 1.6156 0.9324 0.4936 0"),
    ("KL Optimal", {}, "14.6146 3.0807 1.5971 0.9616 0.5729 0.2818 0.0292"),
    ("Align Your Steps", {}, "14.615 3.861 1.886 0.963 0.399 0.029 0"),
    ("Align Your Steps 11", {}, "14.615 3.861 1.886 0.963 0.399 0.029 0"),
    ("Align Your Steps", {"table": "sdxl"}, "14.615 3.771 1.342 0.555 0.234 0.029 0"),
    ("Align Your Steps GITS", {}, "14.615 2.507 0.702 0.240 0.104 0.029 0"),
    ("Align Your Steps GITS", {"table": "sdxl"}, "14.615 2.567 0.987 0.418 0.179 0.029 0"),
    ("Simple", {}, "14.6146 5.9631 2.9183 1.6129 0.9324 0.4924 0"),
    ("DDIM", {}, "14.4386 5.9064 2.9071 1.6129 0.9324 0.4947 0.0413 0"),
    ("Beta", {}, "14.6146 12.8218 9.3245 5.3193 1.8220 0.0292 0"),
    ("Turbo", {}, "14.6146 5.9347 2.9183 1.6129 0.9292 0.4924 0"),
]


def numbers(text: str) -> torch.Tensor:
    return torch.tensor([float(word) for word in text.split()], dtype=torch.float64)


@pytest.mark.parametrize(("name", "options", "expected"), SIX)
def test_six_steps(name: str, options: dict, expected: str) -> None:
    torch.testing.assert_close(build_sigmas(name, 6, SD1, **options), numbers(expected), rtol=0, atol=6e-5)


def test_karras_ten() -> None:
    expected = numbers("14.6146 9.1029 5.4784 3.1686 1.7494 0.9141 0.4469 0.2014 0.0819 0.0292 0")
    torch.testing.assert_close(build_sigmas("karras", 10, SD1), expected, rtol=0, atol=6e-5)


@pytest.mark.parametrize("name", [facts.label for facts in SCHEDULES])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 150, 1000])
def test_all_fall_from_noise_to_nothing(name: str, steps: int) -> None:
    if name == "Beta" and steps == 1000:
        steps = 300
    sigmas = build_sigmas(name, steps, SD1)
    assert torch.all(sigmas.diff() < 0)
    assert torch.isfinite(sigmas).all()
    assert len(sigmas) == steps + 1 or (name == "DDIM" and len(sigmas) >= steps)
    assert sigmas[-1] == 0 or name == "KL Optimal"
    assert sigmas[0] == pytest.approx(14.6146, abs=1e-3) or name == "DDIM"


@pytest.mark.parametrize("name", ["Align Your Steps", "Align Your Steps 32", "Align Your Steps GITS"])
@pytest.mark.parametrize("table", ["sd1", "sdxl"])
def test_tables_at_their_own_length(name: str, table: str) -> None:
    length = 32 if name.endswith("32") else 11
    sigmas = build_sigmas(name, length, SD1, table=table)
    assert sigmas[0] == 14.615
    assert sigmas[-2] == (0.015 if length == 32 else 0.029)
    assert torch.all(sigmas.diff() < 0)


def test_align_your_steps_equals_diffusers() -> None:
    from diffusers.schedulers import AysSchedules

    ours = build_sigmas("align_your_steps", 11, SD1)
    assert ours[:10].tolist() == AysSchedules["StableDiffusionSigmas"][:10]
    ours = build_sigmas("align_your_steps", 11, SD1, table="sdxl")
    assert ours[:10].tolist() == AysSchedules["StableDiffusionXLSigmas"][:10]


def test_long_table_refines_the_short_one() -> None:
    """The 32 steps are near the 11 steps resampled: both follow one optimised curve."""
    for table in ("sd1", "sdxl"):
        long = build_sigmas("align_your_steps_32", 32, SD1, table=table)[:20]
        short = build_sigmas("align_your_steps_11", 32, SD1, table=table)[:20]
        torch.testing.assert_close(long, short, rtol=0.06, atol=0)


def test_rho_bends_karras_only() -> None:
    assert not torch.equal(build_sigmas("karras", 6, SD1, rho=3), build_sigmas("karras", 6, SD1))
    torch.testing.assert_close(build_sigmas("exponential", 6, SD1, rho=3), build_sigmas("exponential", 6, SD1))


def test_bounds_without_room_are_refused() -> None:
    with pytest.raises(BadRequest, match="must be below"):
        build_sigmas("karras", 6, SD1, sigma_min=5, sigma_max=5)
    with pytest.raises(BadRequest, match="must be below"):
        build_sigmas("karras", 6, SD1, sigma_min=20)


def test_unknown_name_suggests() -> None:
    with pytest.raises(UnknownName, match="Karras"):
        build_sigmas("karas", 6, SD1)


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (1, 1), (0.01, 5), (5, 0.01), (2, 3.5), (0.1, 0.1)])
@pytest.mark.parametrize("p", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999, 1.0])
def test_beta_quantile_equals_scipy(a: float, b: float, p: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), abs=1e-9)
    for x in (0.0, 0.1, 0.5, 0.93, 1.0):
        assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-12)
