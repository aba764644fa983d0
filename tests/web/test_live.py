"""A whole server, its engine and the embedded model, used by a public client of A1111's API."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webuiapi

from tests.service.helpers import ROOT, until
from tests.web.test_txt2img_api import BASE

pytestmark = pytest.mark.live

COMMAND = (
    "import sys; from pathlib import Path; from modules.cli import main; sys.exit(main(sys.argv[1:], Path.cwd()))"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server on a data folder of its own."""
    folder = tmp_path_factory.mktemp("live")
    log = folder / "log.txt"
    flags = ["--port", "0", "--data-dir", str(folder)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", *flags], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        until(lambda: _address(log) is not None or server.poll() is not None, 60)
        found = _address(log)
        assert found, log.read_text(encoding="utf-8")
        yield found
    finally:
        server.terminate()
        assert server.wait(60) == 0  # the queue was closed in order


def _address(log: Path) -> str | None:
    match = re.search(r"http://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8"))
    return match[0] if match else None


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    return webuiapi.WebUIApi(baseurl=f"{address}/sdapi/v1")


def test_a_public_client_draws(client: Any) -> None:
    result = client.txt2img(
        prompt="a red circle", negative_prompt="blue", seed=42, steps=4, width=128, height=64, cfg_scale=5
    )
    assert result.image.size == (128, 64)
    assert len(result.image.getcolors(1 << 20)) > 50
    assert result.image.info["parameters"] == result.info["infotexts"][0]
    assert "a red circle\nNegative prompt: blue\nSteps: 4, Sampler: Euler a" in result.info["infotexts"][0]
    assert "Seed: 42, Size: 128x64, Model hash: " in result.info["infotexts"][0]
    again = client.txt2img(
        prompt="a red circle", negative_prompt="blue", seed=42, steps=4, width=128, height=64, cfg_scale=5
    )
    assert again.image.tobytes() == result.image.tobytes()
    read = client.png_info(result.image)
    assert read.info == result.info["infotexts"][0]


def test_a_batch_of_the_client(client: Any) -> None:
    result = client.txt2img(prompt="a boat", seed=7, steps=2, width=64, height=64, batch_size=2)
    assert [image.size for image in result.images] == [(128, 64), (64, 64), (64, 64)]
    assert result.info["all_seeds"] == [7, 8]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"negative_prompt": "example negative prompt"},
        {"height": 128},
        {"tiling": True},
        {"sampler_index": "PLMS"},
        {"sampler_index": "DDIM"},
        {"sampler_index": "UniPC"},
        {"n_iter": 2},
        {"batch_size": 2},
    ],
)
def test_bodies_of_the_api_test_suite(client: Any, change: dict[str, Any]) -> None:
    answer = client.session.post(f"{client.baseurl}/txt2img", json={**BASE, **change}, timeout=120)
    assert answer.status_code == 200, answer.text


def test_lists_of_the_client(client: Any) -> None:
    assert client.util_get_current_model().startswith("miniature")
    assert "DPM++ 2M" in client.util_get_sampler_names()
    assert "karras" in client.util_get_scheduler_names()
    client.util_set_model("miniature")
    assert client.get_progress()["state"]["job_count"] == 0
    assert client.interrupt() == {}
    client.refresh_checkpoints()
    assert client.get_memory()["ram"]["total"] > 0


def test_the_page_comes(client: Any, address: str) -> None:
    until(lambda: client.session.get(f"{address}/api/v1/status", timeout=30).json()["page"] != "starting", 90)
    page = client.session.get(address, timeout=30)
    assert page.status_code == 200
    assert "gradio" in page.text
