"""Every knob, and any request at all, through A1111's text and the exact JSON and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.schema.infotext import parse, read_json, to_request, write, write_json
from modules.schema.knob import Knob, knobs
from modules.schema.request import GenerationRequest

KNOBS = knobs(GenerationRequest)

# What must be set for a knob to act at all, and so to be written.
COMPANIONS: dict[str, dict[str, Any]] = {
    "subseed": {"subseed_strength": 0.5},
    "seed_resize_from_w": {"seed_resize_from_h": 64},
    "seed_resize_from_h": {"seed_resize_from_w": 64},
    "emphasis": {"prompt": "(a)"},
    "ensd": {"sampler": "Euler a"},
}
NOT_IN_TEXT = ("batch_count", "batch_size")


def _other(knob: Knob) -> Any:
    """A value that is not the default."""
    if knob.choices:
        return next(choice for choice in knob.choices if choice != knob.default)
    if knob.kind is bool:
        return not knob.default
    if knob.kind is str:
        return 'odd, "name": 1'
    low, high = knob.minimum or 0, knob.maximum if knob.maximum is not None else 100
    return next(
        v for v in (low + 16, low + 0.25, high) if v not in (knob.default, 1) and knob.kind(v) == v and v <= high
    )


@pytest.mark.parametrize("name", [name for name in KNOBS if name not in NOT_IN_TEXT])
def test_every_knob_survives_the_text(name: str) -> None:
    request = GenerationRequest(**{**COMPANIONS.get(name, {}), name: _other(KNOBS[name])})
    read, notices = to_request(parse(write(request, {})), GenerationRequest())
    assert getattr(read, name) == getattr(request, name) != KNOBS[name].default
    assert (read, notices) == (request, [])


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_survives_the_json(name: str) -> None:
    request = GenerationRequest(**{name: _other(KNOBS[name])})
    assert read_json(write_json(request, {})).request == request


@pytest.mark.parametrize("name", [name for name in KNOBS if name not in NOT_IN_TEXT])
def test_what_a_text_lacks_is_not_left_from_the_form(name: str) -> None:
    """A picture with the default of a knob is read as that, whatever the form shows."""
    base = GenerationRequest(**{**COMPANIONS.get(name, {}), name: _other(KNOBS[name])})
    request = GenerationRequest(prompt="x", checkpoint="model")
    assert to_request(parse(write(request, {})), base)[0] == request


LINES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)
PROMPTS = st.lists(LINES, max_size=3).map("\n".join).map(str.strip)


def _values(knob: Knob) -> st.SearchStrategy[Any]:
    if knob.choices:
        return st.sampled_from(knob.choices)
    if knob.kind is bool:
        return st.booleans()
    low, high = knob.minimum, knob.maximum
    if knob.kind is int:
        return st.integers(int(low or 0), int(high or 0))
    if knob.kind is float:
        return st.floats(low, high)
    return LINES.filter(bool)


WITHOUT_RULE = [
    name
    for name in KNOBS
    if name not in (*NOT_IN_TEXT, *COMPANIONS, "prompt", "negative_prompt", "eta", "checkpoint", "vae")
]
REQUESTS = st.fixed_dictionaries({name: _values(KNOBS[name]) for name in WITHOUT_RULE}).map(
    lambda values: GenerationRequest(**values)
)


@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_any_request_survives_the_text(request_: GenerationRequest) -> None:
    read, notices = to_request(parse(write(request_, {})), GenerationRequest())
    assert (read, notices) == (request_, [])


@given(PROMPTS, PROMPTS)
@settings(deadline=None)
def test_any_prompt_survives(prompt: str, negative: str) -> None:
    request = GenerationRequest(prompt=prompt, negative_prompt=negative)
    assert read_json(write_json(request, {})).request == request
    if "Negative prompt:" not in prompt + negative:
        text = parse(write(request, {}))
        assert (text.prompt, text.negative_prompt) == (prompt, negative)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_value_survives(value: str) -> None:
    params = parse(write(GenerationRequest(), {"Some key": value})).params
    if "Some key" in params:
        assert params["Some key"] == value
    else:
        assert f"{params['Some key-1']}x{params['Some key-2']}" == value
