"""Numbers that are none, or no number's size, in every numeric field there is: found in the schemas, not listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from starlette.testclient import TestClient

from modules.schema.orders import GENERATION, KINDS
from modules.schema.parts import PARTS
from modules.schema.settings import Settings
from tests.service.helpers import until

NUMBERS = [
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "-1e308", "1e-320", "-0.0", "9" * 30, "-" + "9" * 30,
    str(2**31), str(2**63), str(-(2**63) - 1), str(2**64), "0.1e1", "1.5", "true", "null", '"1"', '"NaN"', "[]", "{}",
    '"' + "9" * 100 + '"',
]  # fmt: skip
SPARSE = NUMBERS[:2] + NUMBERS[3:4] + NUMBERS[5:6] + NUMBERS[9:13] + NUMBERS[20:21]
MODELS: list[type[BaseModel]] = [*KINDS.values(), *PARTS.values(), Settings]


def numeric(model: type[BaseModel]) -> list[str]:
    """Fields that take a number, by their JSON schema."""
    return numbers_of(model.model_json_schema()["properties"])


def numbers_of(fields: dict[str, Any]) -> list[str]:
    texts = {name: json.dumps(facts) for name, facts in fields.items()}
    return [name for name, text in texts.items() if '"number"' in text or '"integer"' in text]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_numeric_field_takes_a_number_in_its_bounds_or_refuses(model: type[BaseModel]) -> None:
    for name in numeric(model):
        for text in NUMBERS:
            try:
                value = getattr(model.model_validate({name: json.loads(text)}), name)
            except ValidationError:
                continue
            shown = json.dumps(value, allow_nan=False)  # what is taken is finite
            assert len(shown) < 30


def bodies(model: type[BaseModel], wrap: str) -> Iterator[str]:
    for name in numeric(model):
        for text in SPARSE:
            yield wrap.replace("@", f'"{name}": {text}')


@pytest.mark.parametrize("part", [GENERATION, "extras", "merge", *PARTS])
def test_orders_with_such_numbers_are_the_senders_fault(client: TestClient, part: str) -> None:
    model = PARTS.get(part) or KINDS[part]
    wrap = f'{{"kind": "{part}", @}}' if part in KINDS and part != GENERATION else '{@, "prompt": "a"}'
    if part in PARTS:
        wrap = f'{{"{part}": {{@}}}}'
    for body in bodies(model, wrap):
        answer = client.post("/api/v1/jobs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code < 500, f"{body}: {answer.text}"
        if answer.status_code == 201:
            client.post(f"/api/v1/jobs/{answer.json()['id']}/cancel")


A1111 = ("txt2img", "img2img", "extra-single-image", "train/embedding", "create/embedding")


@pytest.mark.parametrize("route", A1111)
def test_a1111s_bodies_with_such_numbers(client: TestClient, route: str) -> None:
    api = client.get("/openapi.json").json()
    name = api["paths"][f"/sdapi/v1/{route}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    fields = api["components"]["schemas"][name.rpartition("/")[2]]["properties"]
    base = {"width": 16, "height": 16, "steps": 1, "init_images": ["x"], "image": "x", "name": "a",
            "embedding_name": "a", "data_root": "a"}  # fmt: skip
    assert numbers_of(fields)
    for number, field in enumerate(numbers_of(fields)):
        for text in SPARSE[number % 2 :: 2]:
            body = json.dumps({key: value for key, value in base.items() if key != field})
            body = f'{{"{field}": {text}, {body[1:]}'
            answer = client.post(f"/sdapi/v1/{route}", content=body, headers={"content-type": "application/json"})
            assert answer.status_code < 500, f"{body}: {answer.text}"


def test_options_with_such_numbers(client: TestClient) -> None:
    before = client.get("/sdapi/v1/options").json()
    for key, value in before.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            for text in SPARSE:
                body = f'{{"{key}": {text}}}'
                answer = client.post("/sdapi/v1/options", content=body, headers={"content-type": "application/json"})
                assert answer.status_code in (200, 422) or answer.json()["error"] == "RuntimeError", body
    json.dumps(client.get("/sdapi/v1/options").json(), allow_nan=False)


def test_questions_with_such_numbers(client: TestClient) -> None:
    tried = 0
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, facts in methods.items():
            for parameter in facts.get("parameters", []):
                kind = json.dumps(parameter.get("schema", {}))
                if "/events" in path or not ('"integer"' in kind or '"number"' in kind):
                    continue
                for text in (*SPARSE, "", "%00", "-1"):
                    where = path
                    if parameter["in"] == "path":
                        where = path.replace(f"{{{parameter['name']}}}", text)
                    params = {parameter["name"]: text} if parameter["in"] == "query" else {}
                    answer = client.request(method.upper(), where.replace("{", "").replace("}", ""), params=params)
                    assert answer.status_code < 500, f"{method} {where} {params}: {answer.text}"
                    tried += 1
    assert tried > 50
    until(lambda: client.get("/api/v1/status").status_code == 200)
