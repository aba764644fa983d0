"""Saved pictures to browse: searched, marked, deleted with a way back, sent on; and folders of others, only read.

Who asks sees the pictures of some owners (`scope`); for any other a picture is not there. Every method may be called
from any thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from modules.catalog.cache import Stamp
from modules.schema.errors import BadRequest, NotFound, UserError
from modules.schema.settings import Folders, Settings
from modules.service.gallery.database import GalleryDatabase
from modules.service.gallery.describe import describe, sidecar
from modules.service.gallery.index import OUTPUTS, THERE, TRASHED, Fresh, Index, Picture
from modules.service.gallery.media import media_type
from modules.service.gallery.query import Owners
from modules.service.gallery.roots import Root, Roots
from modules.service.gallery.scans import Progress, Scans
from modules.service.gallery.thumbnails import GalleryThumbnails
from modules.service.gallery.trash import Trash
from modules.service.gallery.walk import inside
from modules.service.gallery.zips import ZipOrders
from modules.service.naming import sanitize
from modules.service.picture_text import read_picture_text

log = logging.getLogger(__name__)

NOBODY = ("", "api", "command line")
"""Owners of pictures that are of no known person: old ones, of programs, of the command line."""
_DAY_SECONDS = 86400.0
_THUMBNAIL_THREADS = 2

OwnerOf = Callable[[str], str | None]


@dataclass(frozen=True)
class Changed:
    """Ids of the pictures that were changed, and of the others, each with a sentence why not."""

    done: list[str] = field(default_factory=list[str])
    refused: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(frozen=True)
class FolderState:
    """A folder of others with its `pictures` so far, and how far it was read."""

    number: int
    path: Path
    pictures: int
    progress: Progress


class Gallery:
    """The gallery of one data folder. `owner_of`: whose the picture of an address below the outputs folder is, where
    that is still known; `tell` gets sentences for the user."""

    def __init__(self, places: Folders, settings: Settings, owner_of: OwnerOf, tell: Callable[[str], None]) -> None:
        self._days = settings.trash_days
        self._owner_of = owner_of
        self._database = GalleryDatabase(places.state / "gallery.sqlite", tell)
        self._database.renewed = self._read_again
        self._roots = Roots(places.outputs, places.state / "gallery-folders.json")
        self._trash = Trash(places.outputs)
        self._lock = threading.Lock()
        self._thumbnails = GalleryThumbnails(
            places.state / "gallery-thumbnails", int(settings.thumbnails_mib * (1 << 20))
        )
        self.thumbnail_threads = ThreadPoolExecutor(_THUMBNAIL_THREADS, thread_name_prefix="thumbnail")
        self.index = Index(self._database)
        self.zips = ZipOrders()
        self._scans = Scans(self._roots, self.index, self._trash, self._marks, self.tidy)

    def start(self) -> None:
        """Look into all folders, and go on doing what is to be done every hour."""
        self._scans.start()

    def close(self) -> None:
        self._scans.close()
        self.thumbnail_threads.shutdown(wait=True, cancel_futures=True)
        self._database.close()

    @property
    def reading(self) -> Progress | None:
        """How far the reading of a folder is, while one is being read."""
        now = (self._scans.progress(root.number) for root in self._roots.all)
        return next((progress for progress in now if progress.state == "reading"), None)

    def saved(self, path: Path, owner: str) -> None:
        """Take in a picture that was saved just now below the outputs folder; one elsewhere is not for the gallery.

        What goes wrong is only logged: the next scan finds it.
        """
        root = self._roots.get(OUTPUTS)
        if not path.is_relative_to(root.path):
            return
        try:
            place = PurePosixPath(path.relative_to(root.path).as_posix())
            status = path.stat()
            described = describe(path, PurePosixPath(root.path.name, place))
            fresh = Fresh(OUTPUTS, place, Stamp.of(status), status.st_mtime_ns // 1000, owner, described)
            self.index.put([fresh])
        except (OSError, UserError):
            log.warning("%s could not be put into the gallery", path, exc_info=True)

    def scope(self, person: str, *, is_owner: bool, everybody: bool = False) -> Owners:
        """Whose pictures a person sees: their own; the machine's owner also those of nobody known, or everybody's."""
        if not is_owner:
            return (person,)
        return None if everybody else tuple(dict.fromkeys((person, *NOBODY)))

    # One picture

    def path(self, picture: Picture) -> Path:
        """The picture's file. Raises NotFound where it is gone, or leads out of a folder that is only read."""
        root = self._roots.get(picture.root)
        path = root.path / picture.place
        if not path.is_file() or (not root.own and not inside(path, root.path)):
            raise NotFound(f"The picture {picture.file} is not there any more.")
        return path

    def media_type(self, picture: Picture) -> str:
        """What the file is by its content; raises NotFound, or BadRequest for what is no picture."""
        return media_type(self.path(picture))

    def thumbnail(self, picture: Picture, size: int) -> bytes:
        """A WebP of at most `size` pixels a side; raises UserError."""
        return self._thumbnails.get(self.path(picture), picture.stamp, size)

    def text(self, picture: Picture) -> str:
        """What the picture says of its making, or the text beside it does; raises UserError."""
        path = self.path(picture)
        found = read_picture_text(path)
        others = "\n".join(found.items.values())
        return found.infotext or sidecar(path) or others

    def can_be_deleted(self, picture: Picture) -> bool:
        return picture.root == OUTPUTS

    # Many

    def favourite(self, ids: Sequence[str], owners: Owners, *, on: bool) -> int:
        """Mark pictures as favourites or not; how many there were."""
        found = self.index.find_all(ids, owners)
        self.index.mark([picture.number for picture in found], favourite=on)
        return len(found)

    def trash(self, ids: Sequence[str], owners: Owners) -> Changed:
        """Move pictures into the trash."""
        return self._each(ids, owners, THERE, self._put_into_trash)

    def restore(self, ids: Sequence[str], owners: Owners) -> Changed:
        """Take pictures out of the trash, to where they were."""
        return self._each(ids, owners, TRASHED, self._restore)

    def delete(self, ids: Sequence[str], owners: Owners) -> Changed:
        """Delete pictures of the trash for good."""
        return self._each(ids, owners, TRASHED, self._delete)

    def order_zip(self, ids: Sequence[str], owners: Owners) -> tuple[str, int, int]:
        """(name of the order for `zips`, pictures, bytes); raises NotFound where there is none of them."""
        files: list[tuple[str, Path]] = []
        size = 0
        for picture in self.index.find_all(ids, owners):
            try:
                files.append((sanitize(picture.file, spaces=False), self.path(picture)))
                size += picture.stamp.size
            except NotFound:
                log.info("%s is not there any more", picture.file)
        if not files:
            raise NotFound("None of these pictures is there any more.")
        return self.zips.add(files), len(files), size

    def use(self, settings: Settings) -> None:
        """Keep what is in the trash as long as these settings say, from now on."""
        self._days = settings.trash_days

    def tidy(self) -> None:
        """Delete what has been in the trash for long enough, and thumbnails beyond their room."""
        try:
            for picture in self.index.long_trashed(time.time() - self._days * _DAY_SECONDS):
                self._delete(picture)
            self._thumbnails.prune()
        except (OSError, UserError) as error:
            log.warning("the trash could not be emptied: %s", error)

    # Folders of others

    def folders(self) -> list[FolderState]:
        return [self._state(root) for root in self._roots.others]

    def add_folder(self, path: str) -> FolderState:
        """Show the pictures of a folder, which is only ever read; raises BadRequest."""
        root = self._roots.add(path)
        self._scans.ask(root.number)
        self._scans.start()
        return self._state(root)

    def remove_folder(self, number: int) -> None:
        """Show a folder's pictures no more; raises NotFound. Nothing in the folder is touched."""
        self._roots.remove(number)
        self._scans.forget(number)
        self.index.remove_root(number)

    def scan(self, number: int) -> FolderState:
        """Look into a folder again; raises NotFound."""
        root = self._roots.get(number)
        self._scans.ask(number)
        self._scans.start()
        return self._state(root)

    def scan_now(self) -> None:
        """Look into all folders, and wait until that is done."""
        for root in self._roots.all:
            self._scans.scan(root)

    # Inside

    def _state(self, root: Root) -> FolderState:
        return FolderState(root.number, root.path, self.index.count(root.number), self._scans.progress(root.number))

    def _read_again(self) -> None:
        self._scans.ask_all()

    def _marks(self, root: int, place: PurePosixPath) -> tuple[str, bool]:
        known = self._database.marks.get((root, str(place.parent), place.name))
        if known is not None:
            return known[0], bool(known[1])
        return (self._owner_of(str(place)) or "", False) if root == OUTPUTS else ("", False)

    def _each(self, ids: Sequence[str], owners: Owners, state: int, change: Callable[[Picture], None]) -> Changed:
        """Change the pictures that are in that state; one that cannot be changed does not keep the others."""
        changed = Changed()
        with self._lock:
            for picture in self._in_state(self.index.find_all(ids, owners), state):
                try:
                    change(picture)
                    changed.done.append(picture.id)
                except FileNotFoundError:
                    self.index.remove([picture.number])
                    changed.refused.append((picture.id, f"The picture {picture.file} is not there any more."))
                except UserError as error:
                    changed.refused.append((picture.id, str(error)))
        return changed

    def _in_state(self, pictures: Iterable[Picture], state: int) -> list[Picture]:
        return [picture for picture in pictures if picture.state == state]

    def _put_into_trash(self, picture: Picture) -> None:
        root = self._roots.get(picture.root)
        if not root.own:
            raise BadRequest(
                f"{picture.file} is in the folder {root.path}, which is only read: delete it there yourself."
            )
        moved = self._trash.put(picture.id, picture.place)
        self.index.move(picture, moved.place, moved.since)

    def _restore(self, picture: Picture) -> None:
        self.index.move(picture, self._trash.restore(picture.place), None)

    def _delete(self, picture: Picture) -> None:
        self._trash.delete(picture.place)
        self.index.remove([picture.number])
