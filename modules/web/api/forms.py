"""Each owner's forms as last typed, kept on the server: it survives a reload, another device, and a restart."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

from modules.catalog.writing import write_whole

FORM_LIMIT = 256 << 10
_MOST_FORMS = 5000


class Forms:
    """One JSON file an owner and tab below `folder`, the least recently used beyond a few thousand removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def load(self, owner: str, tab: str) -> dict[str, Any]:
        """The owner's form of that tab; empty when there is none that can be read."""
        try:
            form = json.loads(self._path(owner, tab).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return form if isinstance(form, dict) else {}

    def save(self, owner: str, form: dict[str, Any], tab: str) -> None:
        """Keep the form; raises OSError when the disk refuses."""
        path = self._path(owner, tab)
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            write_whole(path, json.dumps(form, ensure_ascii=False).encode(), sync=False)
            if is_new:
                self._remove_old()

    def _path(self, owner: str, tab: str) -> Path:
        """The cookie is a secret: the file is named by its hash."""
        return self._folder / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}-{tab}.json"

    def _remove_old(self) -> None:
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_MOST_FORMS:]:
            path.unlink(missing_ok=True)
