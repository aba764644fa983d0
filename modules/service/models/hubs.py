"""Links of the two great hubs: from the page of a file to the file, and what the hub says of it.

Hugging Face: `/REPO/blob/REVISION/FILE` is the page of `/REPO/resolve/REVISION/FILE`, whose answer carries the file's
sha256 in `X-Linked-ETag`. Civitai: `/models/NUMBER` and `/api/download/models/VERSION`; names, hashes and trigger
words are told at `/api/v1/model-versions/VERSION`.
"""

from __future__ import annotations

import http.client
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from modules.catalog.diffusers_folder import read_json_object
from modules.schema.errors import BadRequest
from modules.schema.json_object import parse_object
from modules.service.models.remote import Broken, Token, asked

FILE = "hub-tokens.json"
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "huggingface.co": ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    "civitai.com": ("CIVITAI_API_TOKEN", "CIVITAI_TOKEN"),
}
_CIVITAI_PAGE = re.compile(r"/models/(\d+)(/.*)?")
_CIVITAI_FILE = re.compile(r"/api/download/models/(\d+)")
_MOST_BYTES = 8 << 20
_LONGEST_WORDS = 2000


@dataclass(frozen=True)
class Offer:
    """Where a file is, and what a hub says of it."""

    url: str
    name: str = ""
    sha256: str = ""
    words: str = ""


class Tokens:
    """Secrets of gated hubs, from environment variables or from a private file of the data folder.

    They go to the hub itself over https, nowhere else, and are written nowhere.
    """

    def __init__(self, data: Path) -> None:
        self._file = data / FILE

    def __call__(self, parts: SplitResult) -> str | None:
        host = (parts.hostname or "").removeprefix("www.")
        if parts.scheme != "https" or parts.port not in (None, 443) or host not in _VARIABLES:
            return None
        told = next(filter(None, (os.environ.get(name, "").strip() for name in _VARIABLES[host])), "")
        return _plain(told or self._in_file(host), host)

    def _in_file(self, host: str) -> str:
        try:
            mode = self._file.stat().st_mode
        except OSError:
            return ""
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise BadRequest(f"{self._file} can be read by others on this machine: allow it to yourself only (600).")
        token = read_json_object(self._file).get(host, "")
        return token.strip() if isinstance(token, str) else ""


def _plain(token: str, host: str) -> str | None:
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise BadRequest(f"The token for {host} has letters that no token has: copy it again.")
    return token or None


def offer_of(url: str, token: Token) -> Offer:
    """The file that a link means, asked of the hub where its link is of a page. Raises BadRequest, Broken."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    if host == "huggingface.co":
        return Offer(hugging_face(parts))
    question = civitai_question(parts) if host == "civitai.com" else ""
    if not question:
        return Offer(url)
    return civitai_offer(url, _json(question, token))


def hugging_face(parts: SplitResult) -> str:
    """The address of the file itself; raises BadRequest for the page of a whole repository."""
    steps = parts.path.strip("/").split("/")
    place = next((at for at, step in enumerate(steps) if at >= 2 and step in ("blob", "resolve", "raw")), None)
    if place is None or len(steps) < place + 3:
        raise BadRequest(
            "That is a page of many files: open Files there, and copy the link of the one you want.", "url"
        )
    return parts._replace(path="/" + "/".join([*steps[:place], "resolve", *steps[place + 1 :]]), fragment="").geturl()


def civitai_question(parts: SplitResult) -> str:
    """What to ask Civitai about a link; "" where it is of neither a model nor a file."""
    version = parse_qs(parts.query).get("modelVersionId", [""])[0]
    file = _CIVITAI_FILE.fullmatch(parts.path)
    page = _CIVITAI_PAGE.fullmatch(parts.path)
    if file or (page and version.isdecimal()):
        return f"https://civitai.com/api/v1/model-versions/{file[1] if file else version}"
    return f"https://civitai.com/api/v1/models/{page[1]}" if page else ""


def civitai_offer(url: str, told: Mapping[str, Any]) -> Offer:
    """The main file of a version (of the newest one of a model); raises BadRequest where there is none."""
    versions = told.get("modelVersions")
    version = versions[0] if isinstance(versions, list) and versions else told
    files = version.get("files") if isinstance(version, Mapping) else None
    usable = [one for one in files or [] if isinstance(one, Mapping) and isinstance(one.get("downloadUrl"), str)]
    if not usable:
        raise BadRequest("Civitai names no file for that link: copy the link of its download button.", "url")
    file = next((one for one in usable if one.get("primary")), usable[0])
    link: str = url if _CIVITAI_FILE.fullmatch(urlsplit(url).path) else file["downloadUrl"]
    hashes = file.get("hashes")
    sha256 = str(hashes.get("SHA256", "")).lower() if isinstance(hashes, Mapping) else ""
    words = version.get("trainedWords")
    return Offer(
        link,
        name=str(file.get("name") or ""),
        sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else "",
        words=", ".join(str(word) for word in words)[:_LONGEST_WORDS] if isinstance(words, list) else "",
    )


def _json(url: str, token: Token) -> Mapping[str, Any]:
    with asked(url, {"Accept": "application/json"}, token) as reply:
        if reply.answer.status != 200:
            raise BadRequest(f"{reply.parts.hostname} does not know that model ({reply.answer.status}).", "url")
        try:
            told = parse_object(reply.answer.read(_MOST_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise Broken(str(error)) from None
    if told is None:
        raise BadRequest(f"{reply.parts.hostname} gives no facts that can be read about that model.", "url")
    return told
