"""The real server over the real App; only the engine process is a stand-in, and the page a word.

One server serves all tests of a file; after each test its queue is empty and its options are as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.gate import Gate
from modules.web.server import create_server
from tests.service.helpers import make_app, until

ADDRESS = "http://127.0.0.1:7860"

Connect = Callable[..., TestClient]

# What the bodies of A1111's own API tests have in common, with all its odd values.
A1111_BODY: dict[str, Any] = {
    "batch_size": 1,
    "cfg_scale": 7,
    "eta": 0,
    "height": 64,
    "n_iter": 1,
    "negative_prompt": "",
    "prompt": "example prompt",
    "restore_faces": False,
    "s_churn": 0,
    "s_noise": 1,
    "s_tmax": 0,
    "s_tmin": 0,
    "sampler_index": "Euler a",
    "seed": -1,
    "seed_resize_from_h": -1,
    "seed_resize_from_w": -1,
    "steps": 3,
    "styles": [],
    "subseed": -1,
    "subseed_strength": 0,
    "tiling": False,
    "width": 64,
}
# The same for img2img, without the picture.
A1111_IMG2IMG_BODY: dict[str, Any] = {
    **A1111_BODY,
    "denoising_strength": 0.75,
    "include_init_images": False,
    "inpaint_full_res": False,
    "inpaint_full_res_padding": 0,
    "inpainting_fill": 0,
    "inpainting_mask_invert": False,
    "mask": None,
    "mask_blur": 4,
    "override_settings": {},
    "resize_mode": 0,
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("data"))
    yield app
    app.close()


@pytest.fixture(scope="module")
def connect(app: App) -> Iterator[Connect]:
    """Makes clients of one server, each with cookies of its own."""
    with ExitStack() as stack:
        server = create_server(app, Gate(app, "tests.web.small_page"))
        stack.enter_context(TestClient(server, base_url=ADDRESS))

        def connector(**headers: str) -> TestClient:
            return TestClient(server, base_url=ADDRESS, headers=headers, raise_server_exceptions=False)

        yield connector


@pytest.fixture
def client(connect: Connect, app: App) -> Iterator[TestClient]:
    client = connect()
    options = client.get("/sdapi/v1/options").json()
    yield client
    client.post("/sdapi/v1/options", json=options)
    until(lambda: not app.queue())


def body(prompt: str = "", **values: Any) -> dict[str, Any]:
    """A small txt2img body of A1111's API."""
    return {"prompt": prompt, "steps": 3, "width": 64, "height": 64, "seed": 5, **values}
