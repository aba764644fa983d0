"""What a script would draw, told before it does: the layout of its grid."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

BASE = {"prompt": "a cat|red|old", "steps": 2, "width": 64, "height": 64, "seed": 5, "batch_count": 2}


def _order(script: str, **options: Any) -> dict[str, Any]:
    return {"kind": "script", "script": script, "base": BASE, "options": options}


def test_a_plot_tells_where_its_cells_belong(client: TestClient) -> None:
    axes = {"x_type": "Clip skip", "x_values": "1,2", "y_type": "CFG Scale", "y_values": "1-3"}
    told = client.post("/api/v1/scripts/layout", json=_order("X/Y/Z plot", **axes)).json()
    assert (told["columns"], told["rows"]) == (
        ["Clip skip: 1", "Clip skip: 2"],
        ["CFG Scale: 1", "CFG Scale: 2", "CFG Scale: 3"],
    )
    assert told["sizes"] == [2] * 6
    assert told["places"] == [[x, y, 0] for x in range(2) for y in range(3)]  # the slow axis is the outer one


def test_a_matrix_names_its_parts(client: TestClient) -> None:
    told = client.post("/api/v1/scripts/layout", json=_order("Prompt matrix")).json()
    assert (told["columns"], told["rows"]) == (["", "red"], ["", "old"])
    assert told["places"] == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]


def test_lines_have_no_grid(client: TestClient) -> None:
    told = client.post("/api/v1/scripts/layout", json=_order("Prompts from file or textbox", text="a\nb")).json()
    assert (told["places"], told["sizes"]) == ([], [2, 2])


def test_a_mistake_is_one_sentence(client: TestClient) -> None:
    answer = client.post("/api/v1/scripts/layout", json=_order("X/Y/Z plot", x_values="1-5(2)"))
    assert answer.status_code == 422
    assert "1-5(2)" in answer.json()["detail"]


def test_a_job_keeps_its_layout(client: TestClient) -> None:
    job = client.post("/api/v1/jobs", json=_order("X/Y/Z plot", x_type="Seed", x_values="-1,7")).json()
    told = client.get(f"/api/v1/jobs/{job['id']}/layout").json()
    assert told["columns"][1] == "Seed: 7"
    assert told["columns"][0] != "Seed: -1"  # the seed that was drawn
    plain = client.post("/api/v1/jobs", json=BASE).json()
    assert client.get(f"/api/v1/jobs/{plain['id']}/layout").status_code == 422
