"""A1111's text and the exact JSON: the reference's vectors, every knob both ways, and anything at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.schema.infotext import Infotext, parse, quote, split_title, to_request, write
from modules.schema.knob import knobs
from modules.schema.request import GenerationRequest
from modules.version import VERSION

KNOBS = knobs(GenerationRequest)
TAIL = "Steps: 9, Sampler: Euler, CFG scale: 1, Seed: 7"
THREE = {"Steps": "9", "Sampler": "Euler", "CFG scale": "1", "Seed": "7"}


# Reading


@pytest.mark.parametrize(
    ("text", "prompt", "negative", "params"),
    [
        (
            "a cat\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768",
            "a cat",
            "blur",
            {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "1", "Size-1": "512", "Size-2": "768"},
        ),
        ("a cat\nSteps: 20, Seed: 5", "a cat\nSteps: 20, Seed: 5", "", {}),
        (
            "line one\n\n  line three  \nNegative prompt: bad,\nworse: thing\n"
            "Steps: 8, Sampler: DPM++ 2M, Schedule type: Karras",
            "line one\n\nline three",
            "bad,\nworse: thing",
            {"Steps": "8", "Sampler": "DPM++ 2M", "Schedule type": "Karras"},
        ),
        (
            'sign that says "Steps: 3, Seed: 4, Size: 5"\nSteps: 9, Sampler: Euler, CFG scale: 1, Seed: 7, Size: 8x8',
            'sign that says "Steps: 3, Seed: 4, Size: 5"',
            "",
            {**THREE, "Size-1": "8", "Size-2": "8"},
        ),
        # Here A1111 swallows the last line of the poem; none of its keys is one that any program writes.
        (
            "I write\nmy words: one, your words: two, our words: three",
            "I write\nmy words: one, your words: two, our words: three",
            "",
            {},
        ),
        (
            'x\nSteps: 9, Sampler: Euler, Seed: 7, Hires prompt: "a, \\"b\\"\\nc", '
            'Lora hashes: "foo: 1a2b3c4d5e6f, bar: 0011"',
            "x",
            "",
            {
                "Steps": "9",
                "Sampler": "Euler",
                "Seed": "7",
                "Hires prompt": 'a, "b"\nc',
                "Lora hashes": "foo: 1a2b3c4d5e6f, bar: 0011",
            },
        ),
        (
            "x\nSteps: 9, Sampler: Euler, Seed: 7, Tiling: True, Pad conds, Empty: , K: v",
            "x",
            "",
            {"Steps": "9", "Sampler": "Euler", "Seed": "7", "Tiling": "True"},
        ),
        (f'x\n{TAIL}, Note: "unterminated, Foo: bar', "x", "", {**THREE, "Note": '"unterminated', "Foo": "bar"}),
        (f'x\n{TAIL}, Path: "C:\\\\a, b"', "x", "", {**THREE, "Path": "C:\\a, b"}),
        # A1111 cuts an object at its first comma; whole, it is of use, and nothing after it changes.
        (
            f'x\n{TAIL}, Hashes: {{"model": "abc", "vae": "def"}}, Model: m',
            "x",
            "",
            {**THREE, "Hashes": '{"model": "abc", "vae": "def"}', "Model": "m"},
        ),
        (f"poem\nNegative prompt: a\nNegative prompt: b\n{TAIL}", "poem", "a\nb", THREE),
        # One-letter keys and keys with dots are passed over, as in A1111: there they are never written.
        (f"x\n{TAIL}, A: 5, AB: 6, A.B: 7, A.BC: 8, é key: 1", "x", "", {**THREE, "AB": "6", "é key": "1"}),
        (f"a\r\nNegative prompt: b\r\n{TAIL}\r\n", "a", "b", THREE),
        # Beyond the vectors: other programs' lists, doubtful quotes, texts without a prompt.
        (f'x\n{TAIL}, Civitai resources: [{{"a": [1, 2]}}, 3], Model: m', "x", "",
         {**THREE, "Civitai resources": '[{"a": [1, 2]}, 3]', "Model": "m"}),
        (f"x\n{TAIL}, Odd: {{a, Model: m", "x", "", {**THREE, "Odd": "{a", "Model": "m"}),
        (f'x\n{TAIL}, Note: "a" b, Model: m', "x", "", {**THREE, "Note": '"a" b', "Model": "m"}),
        (f'x\n{TAIL}, Note: "\\q", Model: m', "x", "", {**THREE, "Note": '"\\q"', "Model": "m"}),
        (f"Negative prompt: b\n{TAIL}", "", "b", THREE),
        (TAIL, "", "", THREE),
        ("", "", "", {}),
        ("(Steps: 3), Seed: 4, Size: 5, Model: x", "(Steps: 3), Seed: 4, Size: 5, Model: x", "", {}),
        ("x\nPostprocess upscale by: 4, Postprocess upscaler: Lanczos, Postprocess crop: no", "x", "",
         {"Postprocess upscale by": "4", "Postprocess upscaler": "Lanczos", "Postprocess crop": "no"}),
    ],
)  # fmt: skip
def test_read_vectors(text: str, prompt: str, negative: str, params: dict[str, str]) -> None:
    assert parse(text) == Infotext(prompt, negative, params)


@given(st.text(alphabet='ab:,"\\{}[]() \n1x', max_size=80))
def test_reading_anything_never_fails(text: str) -> None:
    base = GenerationRequest()
    for whole in (text, f"x\n{TAIL}, {text}"):
        to_request(parse(whole), base)


@pytest.mark.parametrize("piece", ['ab: "x, ', "ab: {[, ", "a ", 'ab: "\\', "ab: [1, ", "ab: " + "[" * 9000])
def test_long_hostile_lines_are_read(piece: str) -> None:
    assert parse(f"{TAIL}, " + piece * 2000).params["Steps"] == "9"


# Writing


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a", "a"),
        ("a, b", '"a, b"'),
        ("x:y", '"x:y"'),
        ("l1\nl2", '"l1\\nl2"'),
        ('say "hi"', 'say "hi"'),
        ('say "hi", ok', '"say \\"hi\\", ok"'),
        ("été: 1", '"été: 1"'),
        (r"C:\dir", r'"C:\\dir"'),
        (7.0, "7.0"),
        (True, "True"),
        # Raw it would come back without its quotes.
        ('"hi"', r'"\"hi\""'),
        (" a", '" a"'),
    ],
)
def test_write_vectors(value: object, written: str) -> None:
    assert quote(value) == written


def test_whole_text() -> None:
    request = GenerationRequest(
        prompt="a fox\n<lora:x:1>",
        negative_prompt="blur",
        checkpoint="dir/art.v2.safetensors [0123456789]",
        vae="mse.pt",
        clip_skip=2,
        sampler="Euler a",
        seed=5,
        subseed=6,
        subseed_strength=0.5,
        seed_resize_from_w=64,
        seed_resize_from_h=32,
        ensd=31337,
        rng="NV",
        tiling=True,
        s_min_uncond=0.5,
        width=128,
        height=256,
    )
    facts = {
        "VAE hash": "aaaaaaaaaa",
        "User": "me",
        "Device": "cpu: 1",
        "Model hash": "0123456789",
        "Model": "art.v2",
    }
    assert write(request, facts) == (
        "a fox\n<lora:x:1>\nNegative prompt: blur\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 5, Size: 128x256, "
        "Model hash: 0123456789, Model: art.v2, VAE hash: aaaaaaaaaa, VAE: mse.pt, Variation seed: 6, "
        "Variation seed strength: 0.5, Seed resize from: 64x32, Clip skip: 2, ENSD: 31337, RNG: NV, Tiling: True, "
        f'NGMS: 0.5, Device: "cpu: 1", Version: webui {VERSION}, User: me'
    )
    assert write(request, {}).count("Model hash: 0123456789, Model: art.v2, ") == 1


def test_plain_text_has_only_what_a1111_always_writes() -> None:
    assert write(GenerationRequest(prompt="a", seed=1, rng="GPU"), {"Version": None}) == (
        "a\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 512x512"
    )


@pytest.mark.parametrize(
    ("changes", "key", "written"),
    [
        ({"subseed": 9}, "Variation seed", False),
        ({"seed_resize_from_w": 64}, "Seed resize from", False),
        ({"emphasis": "No norm"}, "Emphasis", False),
        ({"emphasis": "No norm", "prompt": "(a)"}, "Emphasis", True),
        ({"emphasis": "Ignore", "negative_prompt": "[a]"}, "Emphasis", True),
        ({"emphasis": "None", "prompt": "a BREAK b"}, "Emphasis", True),
        ({"ensd": 1, "sampler": "Euler"}, "ENSD", False),
        ({"ensd": 1, "sampler": "Euler a", "eta": 0}, "ENSD", False),
        ({"ensd": 1, "sampler": "Euler a"}, "ENSD", True),
        ({"eta": 1}, "Eta", False),
        ({"eta": 0.5}, "Eta", True),
        ({"vae": "None"}, "VAE", False),
        ({"clip_skip": 1}, "Clip skip", False),
        ({"rng": "CPU"}, "RNG", True),
        ({"rng": "GPU"}, "RNG", False),
    ],
)
def test_presence(changes: dict[str, Any], key: str, written: bool) -> None:
    assert (f"{key}: " in write(GenerationRequest(**changes), {})) is written


def test_own_version_is_not_taken_for_an_old_a1111() -> None:
    assert f"Version: webui {VERSION}" in write(GenerationRequest(), {})


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("dir/a.b.safetensors [0123456789]", ("a.b", "0123456789")),
        ("a.ckpt", ("a", None)),
        ("a [v2]", ("a [v2]", None)),
        ("dir\\a", ("a", None)),
    ],
)
def test_split_title(title: str, parts: tuple[str, str | None]) -> None:
    assert split_title(title) == parts


# To a request


def _read(line: str, base: GenerationRequest | None = None) -> tuple[GenerationRequest, list[str]]:
    return to_request(parse(f"a cat\nNegative prompt: dog\n{TAIL}, {line}"), base or GenerationRequest())


def test_a_text_of_a1111() -> None:
    request, notices = _read("Size: 512x768, Model hash: 6CE0161689, Model: v1-5-pruned, Version: v1.10.1")
    assert notices == []
    assert request == GenerationRequest(
        prompt="a cat", negative_prompt="dog", steps=9, sampler="Euler", cfg_scale=1, seed=7, width=512, height=768,
        checkpoint="v1-5-pruned [6ce0161689]", rng="GPU",
    )  # fmt: skip


def test_what_a_text_lacks_and_cannot_mean() -> None:
    base = GenerationRequest(
        steps=33, checkpoint="mine", width=640, batch_count=3, batch_size=2, rng="NV", clip_skip=2
    )
    request, _ = to_request(parse("x\nSampler: Euler, CFG scale: 3, Seed: 4"), base)
    assert (request.steps, request.checkpoint, request.width) == (33, "mine", 640)
    assert (request.batch_count, request.batch_size) == (3, 2)
    assert (request.rng, request.clip_skip, request.scheduler) == ("GPU", 1, "Automatic")


def test_a_text_without_parameters_replaces_the_prompts_only() -> None:
    base = GenerationRequest(prompt="old", negative_prompt="old", steps=33, rng="NV")
    assert to_request(parse("a cat"), base) == (base.replace(prompt="a cat", negative_prompt=""), [])


ADDNET = (
    "AddNet Enabled: True, AddNet Module 1: LoRA, AddNet Model 1: fine style(0123abcd4567), AddNet Weight A 1: 0.8"
)


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("Hypernet: anime", "a cat\n<hypernet:anime:1.0>"),
        ("Hypernet: anime, Hypernet strength: 0.4", "a cat\n<hypernet:anime:0.4>"),
        (ADDNET, "a cat\n<lora:fine style:0.8>"),
        (f"{ADDNET}, AddNet Weight B 1: 0.5", "a cat\n<lora:fine style:0.5:0.8>"),
        (f"{ADDNET}, AddNet Module 2: LoRA, AddNet Model 2: b", "a cat\n<lora:fine style:0.8><lora:b:1.0>"),
        ("AddNet Module 1: LoCon, AddNet Model 1: b, AddNet Module 2: LoRA, AddNet Model 2: None", "a cat"),
    ],
)
def test_networks_of_old_texts_become_tags(line: str, prompt: str) -> None:
    request, notices = _read(line)
    assert (request.prompt, request.negative_prompt, notices) == (prompt, "dog", [])


def test_a_network_whose_name_breaks_a_tag_is_told() -> None:
    request, notices = _read('Hypernet: "a:b"')
    assert (request.prompt, "cannot stand in a tag" in notices[0]) == ("a cat", True)


@pytest.mark.parametrize(
    ("line", "sampler", "scheduler"),
    [
        ("Sampler: DPM++ 2M Karras", "DPM++ 2M", "Automatic"),
        ("Sampler: Euler Karras", "Euler", "Karras"),
        ("Sampler: DPM++ 2M, Schedule type: Exponential", "DPM++ 2M", "Exponential"),
        ("Sampler: k_euler_ancestral, Schedule type: sgm_uniform", "Euler a", "SGM Uniform"),
        ("Sampler: dpm++ 2m, Schedule type: karras", "DPM++ 2M", "Karras"),
    ],
)
def test_samplers(line: str, sampler: str, scheduler: str) -> None:
    request, notices = _read(line)
    assert (request.sampler, request.scheduler, notices) == (sampler, scheduler, [])


@pytest.mark.parametrize(
    ("line", "field", "value", "notice"),
    [
        ("Steps: 99999", "steps", 1000, "Steps 99999 is out of bounds; 1000 is used."),
        ("CFG scale: -3", "cfg_scale", 0, "CFG scale -3 is out of bounds; 0 is used."),
        ("Clip skip: many", "clip_skip", 1, "Clip skip 'many' was not taken from the text: it is not a number."),
        ("CFG scale: nan", "cfg_scale", 7, "CFG scale 'nan' was not taken from the text: it is not a number."),
        ("Steps: 1e999", "steps", 20, "Steps '1e999' was not taken from the text: it is not a number."),
        ("Seed: " + "9" * 5000, "seed", -1, f"Seed '{'9' * 40}' was not taken from the text: it is not a number."),
        ("Steps: 12.0", "steps", 12, None),
        ("Tiling: perhaps", "tiling", False,
         "Tiling 'perhaps' was not taken from the text: it is neither True nor False."),
        ("RNG: TPU", "rng", "CPU", "RNG 'TPU' was not taken from the text: it is none of GPU, CPU, NV."),
        ("RNG: nv", "rng", "NV", None),
        ("Sampler: Foo", "sampler", "DPM++ 2M",
         "Sampler 'Foo' was not taken from the text: there is no sampler of that name."),
        ("Size: 9x99999", "height", 8192, "Size 99999 is out of bounds; 8192 is used."),
        ("Size: big", "width", 512, "Size 'big' was not taken from the text: it is not of the form WIDTHxHEIGHT."),
        ("Script: X/Y/Z plot, X Type: Seed, Mask: 1x2", "steps", 9,
         "These parts of the text are not used here: Script, X Type, Mask."),
        ('Lora hashes: "a: b", Version: v1.9.0, User: me, TI hashes: x', "steps", 9, None),
    ],
)  # fmt: skip
def test_odd_values_are_told(line: str, field: str, value: Any, notice: str | None) -> None:
    request, notices = _read(line)
    assert getattr(request, field) == value
    assert (notice in notices) if notice else notices == []
    assert all(sentence.endswith(".") for sentence in notices)


@pytest.mark.parametrize(
    ("line", "downcast"),
    [
        ("Version: v1.6.0", True),
        ("Version: v1.7.0-224-gabcdef12", True),
        ("Version: v1.7.0-225-gabcdef12", False),
        ("Version: v1.7.0", True),
        ("Version: 1.8.0", False),
        ("Version: v1.6.0, Downcast alphas_cumprod: False", False),
        ("Version: f2.0.1v1.10.1", False),
        (f"Version: webui {VERSION}", False),
        ("Foo: bar", False),
    ],
)
def test_old_versions(line: str, downcast: bool) -> None:
    assert _read(line)[0].downcast_alphas_cumprod is downcast


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("a [b:c:5]\nSteps: 20, Seed: 1, Version: v1.5.2", True),
        ("a\nNegative prompt: [b]\nSteps: 20, Seed: 1, Version: v1.5.2", True),
        ("a (b:1.2)\nSteps: 20, Seed: 1, Version: v1.5.2", False),
        ("a [b:c:5]\nSteps: 20, Seed: 1, Version: v1.6.0", False),
        ("a [b:c:5]\nSteps: 20, Seed: 1, Version: v1.5.2, Old prompt editing timelines: False", False),
        ("a [b:c:5]\nSteps: 20, Seed: 1, Old prompt editing timelines: True", True),
    ],
)
def test_prompt_editing_of_old_versions(text: str, old: bool) -> None:
    request, notices = to_request(parse(text), GenerationRequest())
    assert request.use_old_scheduling is old
    assert notices == []


def test_size_like_names_survive() -> None:
    request = GenerationRequest(checkpoint="512x768")
    assert to_request(parse(write(request, {})), GenerationRequest())[0].checkpoint == "512x768"
