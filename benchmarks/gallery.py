"""The gallery with many pictures: a page of the wall, a search, the outline of all, and reading a folder.

    python -m benchmarks.gallery [--pictures 100000] [--repeats 5]

Prints the quickest of the repeats in milliseconds of processor time; the pictures are rows without files, but for the
folder that is read and the thumbnails. There is no peer in it: these are things that must not be felt.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PIL import Image, PngImagePlugin

from benchmarks.timing import quickest
from modules.catalog.cache import Stamp
from modules.schema.infotext import write, write_json
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings, folders
from modules.service.gallery.describe import Described
from modules.service.gallery.gallery import Gallery
from modules.service.gallery.index import Fresh, Index
from modules.service.gallery.query import Wanted
from modules.service.gallery.thumbnails import GalleryThumbnails

_OWNERS = ("somebody", "")
_SEEN = Wanted(_OWNERS)
_WORDS = [f"{kind}{number}" for kind in ("fox", "boat", "castle", "sunset", "portrait") for number in range(400)]
_FILES = 300
_BATCH = 2000
_FIRST = 1_600_000_000_000_000
_MINUTE = 60_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder)
        gallery = Gallery(folders(settings, Path(folder)), settings, lambda _: None, print)
        started = time.process_time()
        _fill(gallery.index, given.pictures)
        print(f"{given.pictures} pictures indexed in {time.process_time() - started:.0f} s\n")
        for name, call in _calls(gallery.index, given.pictures).items():
            print(f"| {name} | {quickest(call, given.repeats):.1f} ms |")
        gallery.close()
        for name, milliseconds in _files(Path(folder) / "files"):
            print(f"| {name} | {milliseconds:.2f} ms |")


def _fill(index: Index, count: int) -> None:
    draw = random.Random(7)
    for start in range(0, count, _BATCH):
        index.put(_row(number, draw) for number in range(start, min(start + _BATCH, count)))


def _row(number: int, draw: random.Random) -> Fresh:
    words = ", ".join(draw.choices(_WORDS, k=25))
    described = Described(
        kind="txt2img" if number % 5 else "img2img",
        model=f"model {number % 7}",
        seed=str(number),
        width=512,
        height=768,
        prompt=f"masterpiece, {words}",
        negative="blurry, bad anatomy, watermark",
        parameters=f"Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: {number}, Size: 512x768",
    )
    place = PurePosixPath("txt2img-images", str(number // 1000), f"{number}.png")
    return Fresh(0, place, Stamp(1, number), _FIRST + number * _MINUTE, _OWNERS[number % 2], described)


def _calls(index: Index, count: int) -> dict[str, Callable[[], object]]:
    middle = _FIRST + count // 2 * _MINUTE
    page = partial(index.page, limit=200)
    return {
        "the first page of 200": partial(page, _SEEN),
        "a page in the middle": partial(page, _SEEN, before=middle),
        "a page of one model": partial(page, Wanted(_OWNERS, model="model 3")),
        "a page of one kind and model": partial(page, Wanted(_OWNERS, model="model 3", kind="img2img")),
        "a search for a rare word": partial(page, Wanted(_OWNERS, search="castle123")),
        "a search for a word of all": partial(page, Wanted(_OWNERS, search="masterpiece")),
        "a search for two letters": partial(page, Wanted(_OWNERS, search="fo")),
        "a search for three words": partial(page, Wanted(_OWNERS, search="masterpiece fox boat1")),
        "the outline of all": partial(index.outline, _SEEN, 200),
        "the outline of a search that all answer to": partial(
            index.outline, Wanted(_OWNERS, search="masterpiece"), 200
        ),
        "what there is to choose among": partial(index.choices, _OWNERS),
    }


def _files(folder: Path) -> Iterator[tuple[str, float]]:
    """Milliseconds for each file: read into an index, looked at again, made small, found small."""
    request = GenerationRequest(prompt="a red fox", seed=5)
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", write(request, {"Model": "art"}))
    info.add_text("webui-request", write_json(request, {"Model": "art"}))
    outputs = folder / "outputs" / "txt2img-images"
    outputs.mkdir(parents=True)
    picture = Image.effect_noise((512, 512), 60).convert("RGB")
    for number in range(_FILES):
        picture.save(outputs / f"{number}.png", pnginfo=info, compress_level=1)
    settings = Settings(data_dir=str(folder))
    gallery = Gallery(folders(settings, folder), settings, lambda _: None, print)
    yield "a file read into the index", quickest(gallery.scan_now, 1, warm=False) / _FILES
    yield "a file that is known, looked at again", quickest(gallery.scan_now, 3) / _FILES
    gallery.close()
    path = outputs / "0.png"
    small = partial(GalleryThumbnails(folder / "small", 1 << 30).get, path)
    yield "a thumbnail made", quickest(partial(small, Stamp(0, 0), 256), 1, warm=False)
    yield "a thumbnail found", quickest(partial(small, Stamp(0, 0), 256), 5)


if __name__ == "__main__":
    main()
