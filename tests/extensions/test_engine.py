"""Extensions in the engine: stages over the embedded model, names from folders, and no cost where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.diffusion.guidance import Guidance
from modules.engine.extending import Extensions
from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.engine.postprocess.upscaler import built_in_upscaler, upscale
from modules.engine.staged import StagedGuidance
from modules.extensions.values import Call, Estimates, PassFacts
from modules.schema.engine import ModelRef
from modules.schema.errors import UnknownName, UserError
from modules.schema.events import Event, ExtensionProblem, Finished
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS
from tests.engine.pictures import MINIATURE, far, pictures
from tests.extensions.helpers import write
from tests.sources import ROOT

APG = ROOT / "extensions-builtin" / "adaptive-projected-guidance"
HEAD = "from modules.extensions import *\n"

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.set_num_threads(1)
    return Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "fp32")


def events(model: LoadedModel, *folders: Path, seconds: float = 60.0, **values: Any) -> list[Event]:
    extensions = Extensions([str(folder) for folder in folders], seconds)
    small = {"prompt": "a red house", "width": 64, "height": 64, "steps": 3, "seed": 5, **values}
    request = GenerationRequest(**small)
    try:
        stages = extensions.stages(request)
        return list(extensions.telling(generate(request, model, previews_per_second=0, stages=stages)))
    finally:
        extensions.host.close()


def picture(model: LoadedModel, *folders: Path, **values: Any) -> np.ndarray:
    return pictures(events(model, *folders, **values))[0]


def test_every_stage_acts_on_the_picture_and_only_where_it_is_asked_for(model: LoadedModel, tmp_path: Path) -> None:
    plain = picture(model)
    stages = {
        "conditioning": "@hook\ndef conditioning(words):\n    class Late:\n"
        "        def at(self, call): return words.at(0)\n    return Late()",
        "sigmas": "@hook\ndef sigmas(sigmas):\n    return (*sigmas[:-2], sigmas[-2] / 2, sigmas[-1])",
        "start": "@hook\ndef start_latent(latent):\n    return latent * 1.05",
        "output": "from dataclasses import replace\n@hook\ndef model_output(estimates):\n"
        "    return replace(estimates, pieces=tuple(piece * 1.1 for piece in estimates.pieces))",
        "denoised": "@hook\ndef denoised(denoised, call):\n    assert call.estimates.negative is not None\n"
        "    return denoised * 0.9",
        "image": "@hook\ndef image(image, picture):\n    return image.transpose(0)",
    }
    for name, text in stages.items():
        folder = write(tmp_path, name, engine=HEAD + text)
        seen = events(model, folder, extensions={name: {}})
        assert not [event for event in seen if isinstance(event, ExtensionProblem)], name
        assert (far(pictures(seen)[0], plain) > 0.05) == (name != "conditioning"), name
        assert np.array_equal(picture(model, folder), plain), name


def test_a_model_is_changed_inside_the_pass_and_as_before_after_it(model: LoadedModel, tmp_path: Path) -> None:
    text = """
        from contextlib import contextmanager
        from modules.extensions import hook

        @hook
        @contextmanager
        def model(model):
            def weaker(module, arguments, output):
                return output * 0.5
            handle = model.unet.mid_block.register_forward_hook(weaker)
            try:
                yield
            finally:
                handle.remove()
    """
    folder = write(tmp_path, "weaker", engine=text)
    plain = picture(model)
    assert far(picture(model, folder, extensions={"weaker": {}}), plain) > 0.05
    assert np.array_equal(picture(model), plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@hook\ndef denoised(denoised):\n    raise ZeroDivisionError('oh')", "ZeroDivisionError: oh"),
        ("@hook\ndef denoised(denoised):\n    return denoised[:, :1]", "of the wrong kind or shape"),
        ("@hook\ndef sigmas(sigmas):\n    return sigmas[::-1]", "of the wrong kind or shape"),
        ("@hook\ndef image(image):\n    return 'a picture'", "of the wrong kind or shape"),
        ("@hook\ndef model(model):\n    return 3", "AttributeError"),
    ],
)
def test_one_that_fails_in_the_middle_of_a_job_is_told_and_the_picture_is_drawn(
    model: LoadedModel, tmp_path: Path, text: str, said: str
) -> None:
    folder = write(tmp_path, "faulty", engine=HEAD + text)
    seen = events(model, folder, extensions={"faulty": {}})
    problems = [event for event in seen if isinstance(event, ExtensionProblem)]
    assert len(problems) == 1
    assert said in problems[0].sentence
    assert np.array_equal(pictures(seen)[0], picture(model))
    assert isinstance(seen[-1], Finished)


def test_a_sampler_is_one_function_in_one_file(model: LoadedModel, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
    text = page.split("# plain-euler/extension.py\n")[1].split("```")[0]
    folder = write(tmp_path, "plain-euler", extension=text)
    own = picture(model, folder, sampler="Plain Euler", scheduler="Uniform")
    assert far(own, picture(model, sampler="Euler", scheduler="Uniform")) < 0.6
    assert "Plain Euler" not in SAMPLERS
    with pytest.raises(UnknownName):
        picture(model, sampler="Plain Euler")


def test_a_sampler_that_raises_fails_its_job_with_the_extensions_name(model: LoadedModel, tmp_path: Path) -> None:
    text = HEAD + (
        "def walk(denoise, x, plan, noise):\n    raise KeyError('x')\n    yield\n"
        "@hook\ndef register_samplers(register):\n    register(SamplerFacts('walk', 'Walk'), walk)\n"
    )
    with pytest.raises(UserError, match="The sampler Walk of walker failed"):
        picture(model, write(tmp_path, "walker", engine=text), sampler="Walk")


def test_schedules_upscalers_and_captioners_come_from_a_folder_too(model: LoadedModel, tmp_path: Path) -> None:
    text = HEAD + (
        "@hook\ndef register_schedules(register):\n"
        "    register(ScheduleFacts('even', 'Even'), lambda n, low, high: [high - (high - low) * i / max(n - 1, 1)"
        " for i in range(n)])\n"
        "@hook\ndef register_upscalers(register):\n    register('Twice', lambda one, *size: one.resize((3, 3)))\n"
        "@hook\ndef register_captioners(register):\n    register('Sizes', lambda one: f'{one.width} wide')\n"
    )
    folder = write(tmp_path, "names", extension=text)
    assert far(picture(model, folder, scheduler="Even"), picture(model, scheduler="Karras")) > 0.05
    extensions = Extensions([str(folder)])
    assert upscale(built_in_upscaler("Twice"), Image.new("RGB", (2, 2)), 8, 6).size == (8, 6)
    extensions.host.close()
    with pytest.raises(UnknownName):
        built_in_upscaler("Twice")


def test_adaptive_projected_guidance_is_plain_cfg_where_nothing_is_held_back(model: LoadedModel) -> None:
    same = {"parallel": 1.0, "length": 0.0, "momentum": 0.0}
    plain = picture(model, cfg_scale=12)
    assert far(picture(model, APG, cfg_scale=12, extensions={APG.name: same}), plain) < 0.6
    assert far(picture(model, APG, cfg_scale=12, extensions={APG.name: {}}), plain) > 1
    assert np.array_equal(picture(model, APG, cfg_scale=1, extensions={APG.name: {}}), picture(model, cfg_scale=1))


def test_adaptive_projected_guidance_steps_across_the_estimate_and_not_too_far() -> None:
    extensions = Extensions([str(APG)])
    (hook,) = extensions.host.find("denoised")
    positive, negative = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    request = GenerationRequest()
    estimates = Estimates((positive,), negative, (1.0,))
    call = Call(0, 1, 1.0, positive, 8.0, PassFacts(request, range(2)), estimates)
    options = extensions.host.facts(APG.name)
    assert options is not None
    made = hook.call({"denoised": positive, "options": options.options(length=2.0), "call": call}) - positive
    along = (made * positive).sum((1, 2, 3)) / positive.flatten(1).norm(dim=1)
    assert along.abs().max() < 1e-4
    assert made.flatten(1).norm(dim=1).max() <= 7 * 2.0 + 1e-4
    extensions.host.close()


def test_a_job_without_extensions_gets_plain_guidance(monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    made: list[type] = []
    before = Guidance.__init__

    def noted(self: Guidance, *arguments: Any, **named: Any) -> None:
        made.append(type(self))
        before(self, *arguments, **named)

    monkeypatch.setattr(Guidance, "__init__", noted)
    picture(model, APG)
    assert made == [Guidance]
    picture(model, APG, extensions={APG.name: {}})
    assert made == [Guidance, StagedGuidance]
