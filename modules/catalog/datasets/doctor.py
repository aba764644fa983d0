"""What is wrong with a data set, each in a sentence, with the pictures it is about and a button where one helps."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from modules.catalog.datasets import fitting
from modules.catalog.datasets.facts import Looks
from modules.catalog.datasets.folder import DataPicture

LONG_SIDES = 2.0
"""From here on a picture is "much longer than wide"."""

_ALIKE = 4.0
"""Mean difference of two looks (of 255) up to which pictures count as the same; another size or JPEG gives 0 to 2."""

_SAME_SHAPE = 0.03
_ENLARGED = 1.25
_FEW = 3
_WORDS_A_PICTURE = 0.5
_MOST_WORDS_NEEDED = 12
_MOST_COMPARED = 5000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Finding:
    """`ids` are the pictures in question; `fix` labels the button that helps, None where only the artist can."""

    kind: str
    sentence: str
    ids: tuple[str, ...]
    fix: str | None = None


def examine(
    pictures: list[DataPicture], over: Mapping[str, int | None], wanted: tuple[int, int] = (512, 512)
) -> list[Finding]:
    """Everything that is wrong, what stops a training first. Pictures that are left out are not looked at.

    `over`: for each picture's id where in its caption the first token is that finds no room, or None.
    """
    used = [picture for picture in pictures if not picture.note.excluded]
    good = [picture for picture in used if picture.is_trained]
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _corrupt(used),
        lambda: _few(good),
        lambda: _duplicates(good),
        lambda: _empty(good),
        lambda: _long_captions(good, over),
        lambda: _shared(good),
        lambda: _vocabulary(good),
        lambda: _tiny(good, wanted),
        lambda: _extreme(good),
        lambda: _alpha(good),
        lambda: _turned(good),
    )
    return [finding for check in checks for finding in check()]


def _corrupt(pictures: list[DataPicture]) -> Iterator[Finding]:
    for problem, group in _by(pictures, lambda picture: picture.facts.problem):
        if problem:
            yield _finding(
                "corrupt",
                f"{_names(group)} {'is' if len(group) == 1 else 'are'} not trained: {problem}.",
                group,
                "Leave out",
            )


def _few(pictures: list[DataPicture]) -> Iterator[Finding]:
    if 0 < len(pictures) < _FEW:
        sentence = _count(
            pictures,
            "{n} picture is few: a style wants 20 or more, an object 5.",
            "{n} pictures are few: a style wants 20 or more, an object 5.",
        )
        yield _finding("few", sentence, pictures)


def _duplicates(pictures: list[DataPicture]) -> Iterator[Finding]:
    for group in duplicates(pictures):
        rest = sorted(group, key=lambda one: one.facts.width * one.facts.height, reverse=True)
        sentence = f"{_names(rest)} look the same, and would be learned {len(rest)} times as much as the others."
        yield _finding("duplicate", sentence, rest, "Keep only the largest")


def duplicates(pictures: list[DataPicture]) -> list[list[DataPicture]]:
    """Groups of pictures that look the same."""
    looked = [picture for picture in pictures if picture.facts.look][:_MOST_COMPARED]
    groups = _same_looks(tuple((picture.facts.look, picture.size) for picture in looked))
    return [[looked[index] for index in group] for group in groups]


@functools.lru_cache(maxsize=4)
def _same_looks(pictures: tuple[tuple[str, tuple[int, int]], ...]) -> tuple[tuple[int, ...], ...]:
    """Groups of the indices of (look, size) that are the same; kept, as a page asks for it after every change."""
    if len(pictures) < 2:
        return ()
    looks = Looks([look for look, _ in pictures])
    groups: list[tuple[int, ...]] = []
    grouped: set[int] = set()
    for first, (_, size) in enumerate(pictures):
        if first in grouped:
            continue
        near = [index for index in looks.near(first, _ALIKE) if index not in grouped]
        same = [index for index in near if fitting.shape_error(size, pictures[index][1]) <= _SAME_SHAPE]
        if len(same) > 1:
            grouped.update(same)
            groups.append(tuple(same))
    return tuple(groups)


def _empty(pictures: list[DataPicture]) -> Iterator[Finding]:
    found = [picture for picture in pictures if not picture.caption.strip()]
    if found:
        sentence = _count(
            found,
            "{n} picture has no caption: what is in it is learned as part of the new word.",
            "{n} pictures have no caption: what is in them is learned as part of the new word.",
        )
        yield _finding("empty", sentence, found)


def _long_captions(pictures: list[DataPicture], over: Mapping[str, int | None]) -> Iterator[Finding]:
    found = [picture for picture in pictures if over.get(picture.id) is not None]
    if found:
        sentence = _count(
            found,
            "{n} picture has a caption longer than the 75 tokens that are read together; the mark shows where.",
            "{n} pictures have a caption longer than the 75 tokens that are read together; the mark shows where.",
        )
        yield _finding("long", sentence, found, "Shorten to the last tag that fits")


def _shared(pictures: list[DataPicture]) -> Iterator[Finding]:
    for _, group in _by(pictures, lambda picture: picture.path.stem):
        if len(group) > 1:
            yield _finding("shared", f"{_names(group)} share one caption file, {group[0].path.stem}.txt.", group)


def _vocabulary(pictures: list[DataPicture]) -> Iterator[Finding]:
    told = [picture for picture in pictures if picture.caption.strip()]
    if len(told) < _FEW:
        return
    words = Counter(word for one in told for word in set(_WORD.findall(one.caption.casefold())))
    needed = min(_MOST_WORDS_NEEDED, max(2, round(len(told) * _WORDS_A_PICTURE)))
    if len(words) < needed:
        sentence = _plural(
            len(words),
            "All captions together use only {n} word: say what differs from picture to picture, so that it is not "
            "learned as part of the new word.",
            "All captions together use only {n} words: say what differs from picture to picture, so that it is not "
            "learned as part of the new word.",
        )
        yield _finding("vocabulary", sentence, told)


def _tiny(pictures: list[DataPicture], wanted: tuple[int, int]) -> Iterator[Finding]:
    area = wanted[0] * wanted[1]
    found = [one for one in pictures if one.taken[0] * one.taken[1] * _ENLARGED**2 < area]
    if found:
        sentence = _count(
            found,
            "{n} picture is smaller than {width}x{height} and would be learned blurred.",
            "{n} pictures are smaller than {width}x{height} and would be learned blurred.",
            width=wanted[0],
            height=wanted[1],
        )
        yield _finding("tiny", sentence, found, "Leave out")


def _extreme(pictures: list[DataPicture]) -> Iterator[Finding]:
    found = [one for one in pictures if not one.note.split and max(one.taken) > LONG_SIDES * min(one.taken)]
    if found:
        sentence = _count(
            found,
            "{n} picture is more than twice as long as wide; much would be cut off or small.",
            "{n} pictures are more than twice as long as wide; much would be cut off or small.",
        )
        yield _finding("extreme", sentence, found, "Train them in overlapping parts")


def _alpha(pictures: list[DataPicture]) -> Iterator[Finding]:
    found = [picture for picture in pictures if picture.facts.alpha]
    if found:
        sentence = _count(
            found,
            "{n} picture has transparent parts: they are trained on white, or are not learned from with the option "
            "that takes transparency as loss weight.",
            "{n} pictures have transparent parts: they are trained on white, or are not learned from with the option "
            "that takes transparency as loss weight.",
        )
        yield _finding("alpha", sentence, found)


def _turned(pictures: list[DataPicture]) -> Iterator[Finding]:
    found = [picture for picture in pictures if picture.facts.turned]
    if found:
        sentence = _count(
            found,
            "{n} picture is turned upright as the camera noted it.",
            "{n} pictures are turned upright as the camera noted it.",
        )
        yield _finding("turned", sentence, found)


def _by(
    pictures: Iterable[DataPicture], key: Callable[[DataPicture], str]
) -> Iterator[tuple[str, list[DataPicture]]]:
    groups: dict[str, list[DataPicture]] = defaultdict(list)
    for picture in pictures:
        groups[key(picture)].append(picture)
    yield from groups.items()


def _finding(kind: str, sentence: str, pictures: list[DataPicture], fix: str | None = None) -> Finding:
    return Finding(kind, sentence, tuple(picture.id for picture in pictures), fix)


def _names(pictures: list[DataPicture]) -> str:
    names = [picture.file for picture in pictures[:3]]
    if len(pictures) > 3:
        return f"{', '.join(names)} and {len(pictures) - 3} more"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _count(pictures: list[DataPicture], one: str, several: str, **values: object) -> str:
    return _plural(len(pictures), one, several, **values)


def _plural(number: int, one: str, several: str, **values: object) -> str:
    """The sentence for that many; whole sentences, as other languages have other forms."""
    return (one if number == 1 else several).format(n=number, **values)
