"""Styles and problems of a request's prompts at the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.styles import Style, StyleFile
from modules.schema.errors import UnknownName
from modules.schema.events import Notice
from modules.schema.parts import Hires
from modules.schema.request import GenerationRequest
from modules.service.app import App
from modules.service.prompts import request_problems, with_styles
from tests.service.helpers import ANN, request, to_end


@pytest.fixture
def styles(tmp_path: Path) -> StyleFile:
    file = StyleFile(tmp_path / "styles.csv")
    file.save(Style("sharp", "sharp", "blurry"))
    file.save(Style("photo", "photo of {prompt}, 4k"))
    return file


def test_styles_go_into_both_prompts(styles: StyleFile) -> None:
    resolved = with_styles(GenerationRequest(prompt="fox", negative_prompt="dog", styles=["sharp", "Photo"]), styles)
    assert resolved.prompt == "photo of fox, sharp, 4k"
    assert resolved.negative_prompt == "dog, blurry"
    assert resolved.styles == ()
    assert with_styles(resolved, styles) == resolved


def test_hires_prompts_of_their_own_get_them_too(styles: StyleFile) -> None:
    asked = GenerationRequest(prompt="fox", styles=["sharp"], hires=Hires(prompt="large fox"))
    hires = with_styles(asked, styles).hires
    assert hires is not None
    assert (hires.prompt, hires.negative_prompt) == ("large fox, sharp", "")


def test_an_unknown_style_is_told(styles: StyleFile) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'photo'"):
        with_styles(GenerationRequest(styles=["foto"]), styles)


def test_problems_name_their_prompt() -> None:
    asked = GenerationRequest(prompt="[a:b", negative_prompt="x)", hires=Hires(prompt="(1:2.3.4)"))
    problems = request_problems(asked)
    assert [sentence.split(":")[0] for sentence in problems] == ["Prompt", "Negative prompt", "Hires prompt"]
    assert request_problems(GenerationRequest(prompt="a (red:1.2) [fox:cat:3] AND b")) == []


def test_a_job_carries_its_styles_and_problems(app: App) -> None:
    app.styles.save(Style("photo", "photo of {prompt}"))
    job = app.submit(request("a [fox", styles=("photo",)), ANN)
    assert job.request.prompt == "photo of a [fox"
    notices = [event.text for event in to_end(app, job.id) if isinstance(event, Notice)]
    assert notices == ["Prompt: The [ in “[fox” is never closed; it acts up to the end."]
    with pytest.raises(UnknownName):
        app.submit(request(styles=("nothing",)), ANN)
