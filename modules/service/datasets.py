"""Data sets of the training: found, opened, captioned, mended, and prepared for a run.

A data set is a folder of pictures: one below `DATA/datasets`, or any folder of this machine that was opened by its
path. Pictures are never changed; captions are the `.txt` files beside them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self

from modules.catalog.cache import FileCache, Stamp
from modules.catalog.datasets import tags
from modules.catalog.datasets.captions import caption_file, caption_from_name, read_text, write_caption
from modules.catalog.datasets.doctor import Finding, examine
from modules.catalog.datasets.folder import DataPicture, read_folder
from modules.catalog.datasets.notes import FILE, Notes, PictureNote, Undo, read_notes, write_notes
from modules.catalog.datasets.plan import planned
from modules.catalog.datasets.templates import make_templates, read_templates
from modules.prompts.chunks import Tokenizer, count_tokens
from modules.schema.errors import BadRequest, NotFound, UnknownName, UserError
from modules.schema.settings import Folders, Settings
from modules.schema.training import TrainingRequest, TrainingSet
from modules.service.dataset_folders import DatasetFolders, cannot_write
from modules.service.dataset_uploads import Arrived, take_in
from modules.service.thumbnails import Thumbnails

_MOST_COUNTED = 50_000


@dataclass(frozen=True)
class DatasetInfo:
    """An open data set: `name` is what requests call it. `tokens`: for each caption its tokens, and where in it the
    first token is that finds no room in the 75 that are read together (None: all fit)."""

    name: str
    folder: Path
    writable: bool
    pictures: tuple[DataPicture, ...]
    tokens: Mapping[str, tuple[int, int | None]]
    findings: tuple[Finding, ...]
    undo: str = ""

    @property
    def tags(self) -> list[tuple[str, int]]:
        """(tag, captions that have it), the most frequent first."""
        return tags.count(picture.caption for picture in self.pictures if picture.is_trained)


class Datasets:
    """All data sets of a data folder. Safe for threads.

    `word_regex` and `join` make captions of file names (A1111's settings). `state`: where facts and what cannot be
    written into a read-only folder are kept. `tokenizer`: gives the one of the program.
    """

    def __init__(
        self, data: Path, state: Path, tokenizer: Callable[[], Tokenizer], *, word_regex: str = "", join: str = " "
    ) -> None:
        self.folders = DatasetFolders(data, state / "datasets")
        self._templates = data / "textual_inversion_templates"
        self._notes_folder = state / "datasets"
        self._cache = FileCache(state / "datasets.sqlite")
        self._thumbnails = Thumbnails(state / "thumbnails")
        self._tokenizer = tokenizer
        self._words = word_regex, join
        self._counted: dict[str, tuple[int, int | None]] = {}
        self._noted: dict[Path, tuple[Stamp, Notes]] = {}
        self._locks: dict[Path, threading.RLock] = {}

    @classmethod
    def of(cls, places: Folders, settings: Settings, tokenizer: Callable[[], Tokenizer]) -> Self:
        """Those of the program's folders."""
        regex, join = settings.dataset_filename_word_regex, settings.dataset_filename_join_string
        return cls(places.data, places.state, tokenizer, word_regex=regex, join=join)

    def use(self, settings: Settings) -> None:
        """Make captions of file names as these settings say from now on."""
        self._words = settings.dataset_filename_word_regex, settings.dataset_filename_join_string

    # Reading

    def open(self, name_or_path: str, *, wanted: tuple[int, int] = (512, 512)) -> DatasetInfo:
        """A data set with everything that is known of it; `wanted` is the size that it will be trained at.

        Raises BadRequest for one that there is not.
        """
        name = self.folders.find(name_or_path)
        folder = self.folders.folder(name)
        notes = self._notes(folder)
        pictures = self._read(folder, notes)
        tokens = {picture.id: self._tokens(picture.caption) for picture in pictures}
        over = {key: border for key, (_, border) in tokens.items()}
        findings = tuple(examine(pictures, over, wanted))
        undo = notes.undo[-1].sentence if notes.undo else ""
        return DatasetInfo(name, folder, os.access(folder, os.W_OK), tuple(pictures), tokens, findings, undo)

    def picture(self, name: str, picture_id: str) -> DataPicture:
        """One picture of a data set; raises NotFound."""
        return self.pictures(name, [picture_id])[0]

    def thumbnail(self, name: str, picture_id: str, size: int) -> bytes:
        """A JPEG of a picture of at most `size` pixels a side. Raises NotFound and UserError."""
        return self._thumbnails.get(self.picture(name, picture_id), size)

    def doctor(self, name_or_path: str, *, wanted: tuple[int, int] = (512, 512)) -> list[Finding]:
        """What is wrong with a data set."""
        return list(self.open(name_or_path, wanted=wanted).findings)

    def prepare(self, request: TrainingRequest) -> TrainingSet:
        """Everything that a run trains. Raises BadRequest with one sentence and the field at fault."""
        info = self.open(request.data_root)
        lines = self.template(request.template_filename)
        return TrainingSet(pictures=planned(list(info.pictures), request), template=lines)

    # Templates

    def templates(self) -> list[str]:
        """File names of the templates."""
        return list(self.template_texts())

    def template_texts(self) -> dict[str, tuple[str, ...]]:
        """The templates' lines by file name; the shipped ones are written on first need."""
        try:
            make_templates(self._templates)
        except OSError as error:
            raise UserError(f"The folder {self._templates} cannot be made ({error.strerror}).") from None
        return read_templates(self._templates)

    def template(self, name: str) -> tuple[str, ...]:
        """The lines of one template; raises BadRequest on field template_filename."""
        texts = self.template_texts()
        lines = texts.get(name, texts.get(f"{name}.txt"))
        if lines is None:
            raise UnknownName("prompt template", name, texts, "template_filename")
        if not lines:
            raise BadRequest(f"The prompt template {name} has no line.", "template_filename")
        return lines

    # Changing

    def add_pictures(self, name: str, files: Iterable[tuple[str, BinaryIO]]) -> Arrived:
        """Put (name, file) pairs into a data set: pictures, masks, captions, zips of them. Raises UserError."""
        folder = self.folders.folder(name)
        with self._locked(folder):
            try:
                arrived = take_in(folder, files)
            except OSError as error:
                raise cannot_write(folder, error) from None
            captions = dict(arrived.captions)
            self.change(name, f"Captions of an upload ({len(captions)})", captions=captions)
        return arrived

    def set_captions(self, name: str, captions: Mapping[str, str]) -> int:
        """Write captions by picture id; returns how many changed. Raises NotFound and UserError."""
        pictures = {one.id: one for one in self.pictures(name, list(captions))}
        new = {key: caption for key, caption in captions.items() if self._differs(pictures[key], caption.strip())}
        sentence = f"Caption of {pictures[next(iter(new))].file}" if len(new) == 1 else f"{len(new)} captions"
        self.change(name, sentence, captions={pictures[key].file: caption for key, caption in new.items()})
        return len(new)

    def edit(
        self, name: str, action: tags.Action, find: str = "", text: str = "", ids: list[str] | None = None
    ) -> int:
        """Replace text, or add or remove a tag, in all captions or those of `ids`; returns how many changed."""
        if action in ("add", "prepend") and not tags.split(text):
            raise BadRequest("Say which tag to add.", "text")
        if action in ("replace", "remove") and not (find if action == "replace" else find or text).strip():
            raise BadRequest(f"Say what to {action}.", "find")
        pictures = {one.file: one.caption for one in self.pictures(name, ids)}
        new = tags.edited(pictures, action, find, text)
        told = {"replace": f"Replacing {find!r} by {text!r}", "remove": f"Removing {find or text!r}"}
        sentence = told.get(action, f"Adding {text!r}")
        self.change(name, f"{sentence} ({len(new)})", captions=dict(new))
        return len(new)

    def set_crop(self, name: str, picture_id: str, box: tuple[int, int, int, int] | None) -> None:
        """Train only `box` of the upright picture; None is all of it. Raises BadRequest for an empty box."""
        picture = self.picture(name, picture_id)
        cut = checked_box(box, picture) if box else None
        note = replace(picture.note, crop=cut)
        self.change(name, f"Crop of {picture.file}", notes={picture.file: note})

    def exclude(self, name: str, ids: list[str], excluded: bool) -> int:
        """Leave pictures out of the training, or take them in again; returns how many changed."""
        chosen = self.pictures(name, ids)
        notes = {p.file: replace(p.note, excluded=excluded) for p in chosen if p.note.excluded != excluded}
        self.change(name, f"{'Leaving out' if excluded else 'Taking in'} {_count(len(notes))}", notes=notes)
        return len(notes)

    def undo(self, name: str) -> str:
        """Take the newest change back; returns what it was. Raises BadRequest when there is none."""
        folder = self.folders.folder(name)
        with self._locked(folder):
            notes = self._notes(folder)
            if not notes.undo:
                raise BadRequest("There is nothing to undo in this data set.")
            last = notes.undo[-1]
            _write_captions(folder, last.captions)
            self._keep(folder, replace(notes.changed(last.notes), undo=notes.undo[:-1]))
        return last.sentence

    # Inside

    def change(
        self,
        name: str,
        sentence: str,
        *,
        captions: Mapping[str, str | None] | None = None,
        notes: Mapping[str, PictureNote] | None = None,
    ) -> None:
        """Write captions and notes by file name, with a way back under `sentence`. Raises UserError."""
        captions, notes = captions or {}, notes or {}
        if captions or notes:
            self._write(name, sentence, captions, notes)

    def remember(self, name: str, sentence: str, files: Sequence[str]) -> None:
        """Note the way back from what an engine is going to write: captions of these files. Raises UserError."""
        folder = self.folders.folder(name)
        kept = {file: read_text(caption_file(folder / file)) for file in files}
        with self._locked(folder):
            self._keep(folder, self._notes(folder).with_undo(Undo(sentence, kept)))

    def _write(
        self, name: str, sentence: str, captions: Mapping[str, str | None], notes: Mapping[str, PictureNote]
    ) -> None:
        folder = self.folders.folder(name)
        if captions and not os.access(folder, os.W_OK):
            raise cannot_write(folder, OSError(errno.EACCES, os.strerror(errno.EACCES)))
        with self._locked(folder):
            known = self._notes(folder)
            before = Undo(
                sentence,
                {file: read_text(caption_file(folder / file)) for file in captions},
                {file: known.of(file) for file in notes},
            )
            # The way back first: a power cut in between leaves one that changes nothing.
            self._keep(folder, known.changed(dict(notes)).with_undo(before))
            _write_captions(folder, captions)

    def pictures(self, name: str, ids: Sequence[str] | None = None) -> list[DataPicture]:
        """The pictures of these ids, or all; raises NotFound for one that is not there."""
        folder = self.folders.folder(name)
        pictures = self._read(folder, self._notes(folder), None if ids is None else frozenset(ids))
        if ids is None:
            return pictures
        by_id = {picture.id: picture for picture in pictures}
        if any(key not in by_id for key in ids):
            raise NotFound("That picture is not in the data set any more: load the page again.")
        return [by_id[key] for key in dict.fromkeys(ids)]

    def _read(self, folder: Path, notes: Notes, only: Collection[str] | None = None) -> list[DataPicture]:
        regex, join = self._words
        try:
            return read_folder(
                folder, self._cache, notes, only, name_rule=lambda name: caption_from_name(name, regex, join)
            )
        except re.error as error:
            raise BadRequest(f"The setting dataset_filename_word_regex is no regular expression ({error}).") from None

    def _locked(self, folder: Path) -> threading.RLock:
        return self._locks.setdefault(folder, threading.RLock())

    def _differs(self, picture: DataPicture, caption: str) -> bool:
        return picture.source != "txt" or picture.caption != caption

    def _tokens(self, caption: str) -> tuple[int, int | None]:
        known = self._counted.get(caption)
        if known is None:
            counted = count_tokens(caption, self._tokenizer(), comma_backtrack=0)
            known = sum(counted.fills), counted.borders[0] if counted.borders else None
            if len(self._counted) > _MOST_COUNTED:
                self._counted.clear()
            self._counted[caption] = known
        return known

    def _notes(self, folder: Path) -> Notes:
        path = self._notes_file(folder)
        try:
            stamp = Stamp.of(path.stat())
        except OSError:
            return Notes()
        known = self._noted.get(path)
        if known is None or known[0] != stamp:
            known = self._noted[path] = stamp, read_notes(path)
        return known[1]

    def _keep(self, folder: Path, notes: Notes) -> None:
        path = self._notes_file(folder)
        try:
            write_notes(path, notes)
            # Two writes may have one time.
            self._noted[path] = Stamp.of(path.stat()), notes
        except OSError as error:
            raise cannot_write(folder, error) from None

    def _notes_file(self, folder: Path) -> Path:
        if os.access(folder, os.W_OK):
            return folder / FILE
        return self._notes_folder / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"


def checked_box(box: tuple[int, int, int, int], picture: DataPicture) -> tuple[int, int, int, int]:
    """A box cut to the picture; raises BadRequest when less than 8 pixels are left of a side."""
    left, upper, right, lower = box
    cut = max(left, 0), max(upper, 0), min(right, picture.size[0]), min(lower, picture.size[1])
    if cut[2] - cut[0] < 8 or cut[3] - cut[1] < 8:
        raise BadRequest(f"Nothing of {picture.file} is inside this box: draw it larger.", "box")
    return cut


def _write_captions(folder: Path, captions: Mapping[str, str | None]) -> None:
    for file, caption in captions.items():
        try:
            write_caption(folder / file, caption)
        except OSError as error:
            raise cannot_write(folder, error) from None


def _count(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"
