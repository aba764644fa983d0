"""Downloads against a server that knows ranges and breaks off: gone on with, checked, and never led inwards."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modules.schema.errors import BadRequest, NotFound
from modules.schema.settings import Settings, folders
from modules.service import guarded
from modules.service.models import hubs
from modules.service.models.desk import ModelDesk, Wish
from modules.service.models.hubs import Tokens, civitai_offer, civitai_question, hugging_face, offer_of
from modules.service.models.tasks import Task
from tests.catalog.model_files import header
from tests.service.helpers import until
from tests.service.models.desks import make_desk
from tests.service.models.hub import Hub, running_hub
from tests.service.test_named import LORA

# A LoRA of some megabytes.
BIG = {"lora_unet_x.lora_up.weight": (1024, 1024), "lora_unet_x.lora_down.weight": (1024, 64)}


def lora_bytes(shapes: dict[str, tuple[int, ...]] = BIG) -> bytes:
    total = sum(2 * a * b for a, b in shapes.values())
    return header(shapes) + os.urandom(1024) * (total // 1024) + bytes(total % 1024)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        hub.files["fox.safetensors"] = lora_bytes()
        yield hub


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelDesk]:
    monkeypatch.setattr("modules.service.models.downloads._MOST_WAIT", 0.01)
    desk = make_desk(tmp_path)
    yield desk
    desk.close()


def ended(task: Task) -> str:
    until(lambda: not task.is_open, 30)
    return task.state


def arriving(desk: ModelDesk) -> list[Path]:
    """All files that are on their way."""
    return [path for path in desk.files.places.data.rglob(".arriving/*/*") if path.is_file()]


def lora(desk: ModelDesk, name: str = "fox.safetensors") -> Path:
    return desk.files.places.loras[0] / name


def test_a_file_gets_its_kind_its_place_and_its_hash(desk: ModelDesk, hub: Hub) -> None:
    task = desk.download(f"{hub.address}/hub/fox.safetensors", "", None, "")
    assert ended(task) == "done", task.sentence
    assert "its sha256 is right" in task.sentence
    data = hub.files["fox.safetensors"]
    assert lora(desk).read_bytes() == data
    (file,) = desk.listed(Wish(kind="lora")).files
    assert (file.name, file.sha256) == ("fox.safetensors", hashlib.sha256(data).hexdigest())
    assert not arriving(desk) and desk.listed(Wish()).total == 1


def test_a_transfer_that_breaks_off_goes_on_where_it_ended(desk: ModelDesk, hub: Hub) -> None:
    hub.breaks = [700_000, 300_001, 1]
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", "lora", "")
    assert ended(task) == "done", task.sentence
    assert hub.ranges_asked == [None, "bytes=700000-", "bytes=1000001-", "bytes=1000002-"]
    assert all("if-range" in headers for path, headers in hub.asked[1:])
    assert lora(desk).read_bytes() == hub.files["fox.safetensors"]


def test_a_server_without_ranges_is_asked_for_all_again(desk: ModelDesk, hub: Hub) -> None:
    hub.ranges, hub.breaks = False, [700_000]
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    assert ended(task) == "done", task.sentence
    assert lora(desk).read_bytes() == hub.files["fox.safetensors"]


def test_a_file_that_was_changed_meanwhile_is_never_mixed(desk: ModelDesk, hub: Hub) -> None:
    hub.slow, hub.breaks = 0.005, [700_000]
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    until(lambda: task.done > 0)
    hub.files["fox.safetensors"] = lora_bytes()
    assert ended(task) == "done", task.sentence
    assert lora(desk).read_bytes() == hub.files["fox.safetensors"]


def test_pause_keeps_and_cancel_removes_what_has_come(desk: ModelDesk, hub: Hub) -> None:
    hub.slow = 0.05
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    until(lambda: task.done > 200_000)
    desk.pause(task.id)
    assert ended(task) == "paused" and desk.can_resume(task)
    (part,) = arriving(desk)
    kept = part.stat().st_size
    assert kept >= 200_000
    hub.slow = 0
    desk.resume(task.id)
    assert ended(task) == "done", task.sentence
    assert hub.ranges_asked == [None, f"bytes={kept}-"]
    hub.slow = 0.05
    again = desk.download(f"{hub.address}/file/fox.safetensors?2", "other.safetensors", None, "")
    until(lambda: again.done > 0)
    desk.cancel(again.id)
    assert ended(again) == "cancelled" and not arriving(desk)
    assert not json.loads((desk.files.places.state / "model-downloads.json").read_text())


def test_a_download_outlives_the_program_but_goes_on_only_when_told(tmp_path: Path, hub: Hub) -> None:
    first = make_desk(tmp_path)
    hub.slow = 0.05
    task = first.download(f"{hub.address}/file/fox.safetensors?secret=s3cret", "", None, "")
    until(lambda: task.done > 200_000)
    first.close()
    asked = len(hub.asked)
    second = make_desk(tmp_path)
    try:
        (found,) = second.tasks()
        assert (found.id, found.state, found.label) == (task.id, "paused", "fox.safetensors")
        assert found.done >= 200_000 and len(hub.asked) == asked
        assert (tmp_path / "cache/model-downloads.json").stat().st_mode & 0o077 == 0
        hub.slow = 0
        second.resume(found.id)
        assert ended(found) == "done", found.sentence
        assert hub.ranges_asked[-1] is not None
        assert lora(second).read_bytes() == hub.files["fox.safetensors"]
    finally:
        second.close()


def test_a_wrong_hash_is_told_and_nothing_is_kept(desk: ModelDesk, hub: Hub) -> None:
    digest = hashlib.sha256(b"another file").hexdigest()
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, f"sha256:{digest.upper()}")
    assert ended(task) == "failed"
    assert "not the file that was meant" in task.sentence
    assert not arriving(desk) and not lora(desk).exists() and not desk.can_resume(task)
    with pytest.raises(NotFound):
        desk.resume(task.id)


def test_what_keeps_breaking_waits_to_be_continued(desk: ModelDesk, hub: Hub) -> None:
    hub.breaks = [100_000] + [0] * 20
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    assert ended(task) == "failed"
    assert "broke off" in task.sentence and desk.can_resume(task)
    hub.breaks = []
    desk.resume(task.id)
    assert ended(task) == "done", task.sentence


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("page", "a web page, not a file"),
        ("401", "wants to know who asks"),
        ("404", "answers with 404"),
        ("round", "too many other addresses"),
        ("to/ftp://x.test/a", "not an address of the web"),
        ("to/http://127.0.0.1:1/fox.safetensors", "of this network"),
        ("to/http://169.254.169.254/fox.safetensors", "of this network"),
        ("to/http://localhost/fox.safetensors", "of this network"),
        ("to/http://[::1]/fox.safetensors", "of this network"),
    ],
)
def test_what_is_no_file_or_leads_inwards(desk: ModelDesk, hub: Hub, path: str, reason: str) -> None:
    task = desk.download(f"{hub.address}/{path}", "fox.safetensors", None, "")
    assert ended(task) == "failed"
    assert reason in task.sentence
    assert not lora(desk).exists()


@pytest.mark.parametrize("url", ["http://a.test/x", "http://169.254.169.254/x", "http://0.0.0.0/x"])
def test_a_name_that_leads_inwards_is_not_followed(
    desk: ModelDesk, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    inside: list[Any] = [(2, 1, 6, "", (urlsplit(url).hostname if url[7].isdecimal() else "10.0.0.1", 80))]
    monkeypatch.setattr(guarded.socket, "getaddrinfo", lambda *_, **__: inside)
    task = desk.download(url, "fox.safetensors", None, "")
    assert ended(task) == "failed" and "of this network" in task.sentence


def test_only_what_says_so_itself_is_of_this_network() -> None:
    local = ("http://127.0.0.1/", "http://192.168.1.5/", "http://nas/", "http://nas.local/", "http://[::1]/")
    public = ("http://8.8.8.8/", "http://a.test/", "http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/")
    assert all(guarded.is_named_local(urlsplit(url)) for url in local)
    assert not any(guarded.is_named_local(urlsplit(url)) for url in public)


def test_a_pickle_that_would_run_something_is_not_taken(desk: ModelDesk, hub: Hub) -> None:
    hub.files["evil.pt"] = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echo\x85R."
    hub.files["page.safetensors"] = b"<!doctype html><p>log in"
    for name, reason in (("evil.pt", "cannot be read as a checkpoint"), ("page.safetensors", "is a web page")):
        task = desk.download(f"{hub.address}/file/{name}", "", "lora", "")
        assert ended(task) == "failed" and reason in task.sentence
    assert not arriving(desk) and not desk.listed(Wish()).total


def test_too_large_or_no_room_is_told_before_anything_comes(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, model_gib=0.001)
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    assert ended(task) == "failed" and "Largest model file" in task.sentence
    assert task.done == 0
    desk.use(Settings())
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    desk.resume(task.id)
    assert ended(task) == "failed" and "make room" in task.sentence
    desk.close()


def test_orders_that_cannot_be(desk: ModelDesk, hub: Hub) -> None:
    lora(desk).write_bytes(header(LORA) + bytes(64))
    url = f"{hub.address}/file/fox.safetensors"
    for values in (
        (url, "fox.safetensors", "lora", ""),
        (url, "fox.exe", None, ""),
        (url, "", None, "abc"),
        ("file:///etc/passwd", "", None, ""),
        ("nonsense", "", None, ""),
    ):
        with pytest.raises(BadRequest):
            desk.download(*values)  # type: ignore[arg-type]
    hostile = desk.download(f"{hub.address}/file/fox.safetensors", "../../../x/new.safetensors", "lora", "")
    assert ended(hostile) == "done", hostile.sentence
    assert lora(desk, "new.safetensors").is_file()
    assert not hub.files.keys() - {"fox.safetensors"}


def test_a_taken_name_keeps_what_was_fetched(desk: ModelDesk, hub: Hub) -> None:
    hub.slow = 0.02
    task = desk.download(f"{hub.address}/file/fox.safetensors", "", None, "")
    until(lambda: task.done > 0)
    lora(desk).write_bytes(b"mine")
    hub.slow = 0
    assert ended(task) == "failed" and "already" in task.sentence
    assert lora(desk).read_bytes() == b"mine" and desk.can_resume(task)
    lora(desk).unlink()
    desk.resume(task.id)
    assert ended(task) == "done", task.sentence


# Hubs


def test_links_of_hugging_face() -> None:
    page = urlsplit("https://huggingface.co/some/model/blob/main/a/b.safetensors?x=1#top")
    assert hugging_face(page) == "https://huggingface.co/some/model/resolve/main/a/b.safetensors?x=1"
    with pytest.raises(BadRequest, match="many files"):
        hugging_face(urlsplit("https://huggingface.co/some/model"))


@pytest.mark.parametrize(
    ("url", "question"),
    [
        ("https://civitai.com/models/12?modelVersionId=34", "model-versions/34"),
        ("https://civitai.com/models/12/name-of-it", "models/12"),
        ("https://civitai.com/api/download/models/34?type=Model", "model-versions/34"),
        ("https://civitai.com/images/5", ""),
    ],
)
def test_links_of_civitai(url: str, question: str) -> None:
    asked = civitai_question(urlsplit(url))
    assert asked == (f"https://civitai.com/api/v1/{question}" if question else "")


def test_facts_of_civitai(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        {"name": "b.vae.pt", "downloadUrl": "https://civitai.com/api/download/models/34?type=VAE"},
        {
            "name": "a.safetensors",
            "primary": True,
            "downloadUrl": "https://civitai.com/api/download/models/34",
            "hashes": {"SHA256": "AB" * 32},
        },
    ]
    version = {"files": files, "trainedWords": ["fox", "red fur"]}
    monkeypatch.setattr(hubs, "_json", lambda question, token: {"modelVersions": [version]})
    offer = offer_of("https://civitai.com/models/12", lambda parts: None)
    assert (offer.name, offer.sha256, offer.words) == ("a.safetensors", "ab" * 32, "fox, red fur")
    assert offer.url == "https://civitai.com/api/download/models/34"
    for nothing in ({}, {"files": [{"name": "x"}]}, {"files": "x"}, {"modelVersions": [7]}):
        with pytest.raises(BadRequest, match="no file"):
            civitai_offer("https://civitai.com/models/12", nothing)


def test_tokens_go_to_their_hub_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "CIVITAI_API_TOKEN", "CIVITAI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    tokens = Tokens(tmp_path)
    at_hub = urlsplit("https://huggingface.co/a/b/resolve/main/c")
    assert tokens(at_hub) is None
    file = tmp_path / hubs.FILE
    file.write_text(json.dumps({"huggingface.co": "hf_file", "civitai.com": 7}))
    file.chmod(0o644)
    with pytest.raises(BadRequest, match="read by others"):
        tokens(at_hub)
    file.chmod(0o600)
    assert tokens(at_hub) == "hf_file" and tokens(urlsplit("https://civitai.com/models/1")) is None
    monkeypatch.setenv("HF_TOKEN", "hf_env")
    assert tokens(at_hub) == "hf_env"
    for other in ("http://huggingface.co/a", "https://huggingface.co.evil.test/a", "https://huggingface.co:8443/a"):
        assert tokens(urlsplit(other)) is None
    monkeypatch.setenv("HF_TOKEN", "hf\r\nX: y")
    with pytest.raises(BadRequest, match="letters that no token has"):
        tokens(at_hub)


def test_a_secret_goes_to_the_first_server_alone_and_into_no_log(
    tmp_path: Path, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with running_hub() as other:
        other.files = hub.files
        first = urlsplit(hub.address).port
        desk = make_desk(tmp_path, token=lambda parts: "s3cret" if parts.port == first else None)
        # A redirect to another server of this network would not be followed: the same one stands for a hub.
        task = desk.download(f"{hub.address}/hub/fox.safetensors", "", None, "")
        assert ended(task) == "done", task.sentence
        refused = desk.download(f"{hub.address}/to/{other.address}/file/fox.safetensors", "b.safetensors", None, "")
        assert ended(refused) == "failed" and not other.asked
        desk.close()
    assert all(headers.get("authorization") == "Bearer s3cret" for _, headers in hub.asked)
    assert "s3cret" not in caplog.text


def test_words_of_a_hub_become_the_note(desk: ModelDesk, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    link = f"{hub.address}/file/fox.safetensors"
    monkeypatch.setattr(
        "modules.service.models.downloads.offer_of",
        lambda url, token: hubs.Offer(link, "fox.safetensors", "", "red fox"),
    )
    task = desk.download("https://civitai.com/models/1", "", None, "")
    assert ended(task) == "done", task.sentence
    (file,) = desk.listed(Wish(search="red fox")).files
    assert file.words == "red fox"


def test_orders_that_cannot_be_read_are_left(tmp_path: Path) -> None:
    places = folders(Settings(data_dir=str(tmp_path)), tmp_path)
    places.state.mkdir(parents=True)
    told = {
        "x": 1,
        "../../up": {"url": "http://a.test/x", "source": {}},
        "0" * 16: {"url": "u", "bad": 1, "source": {}},
    }
    (places.state / "model-downloads.json").write_text(json.dumps(told))
    desk = make_desk(tmp_path)
    assert desk.tasks() == []
    desk.close()
