"""What a picture file is by its first bytes: a name's ending is only a claim."""

from __future__ import annotations

from pathlib import Path

from modules.schema.errors import BadRequest, NotFound

_HEAD = 32
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def media_type(path: Path) -> str:
    """One of the types of pictures that are shown; raises NotFound, or BadRequest for anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise NotFound(f"The picture {path.name} cannot be read ({error.strerror}).") from error
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and b"avif" in head:
        return "image/avif"
    raise BadRequest(f"The file {path.name} is not a picture.")
