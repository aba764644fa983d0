"""The words of the page in a person's language: `locales/<language>.json`, and those that extensions bring.

A file is a JSON object from the English text to its translation, or to an object of plural forms. English has a file
too: of its entries only the plural forms are of use. What is broken in an extension's file is reported on its page.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Protocol

from modules.extensions.found import Found
from modules.schema.languages import BROWSER, ENGLISH, LANGUAGES, LOCALES

Words = dict[str, str | dict[str, str]]
Report = Callable[[str, str], object]

_LOG = logging.getLogger(__name__)
_ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q\s*=\s*([0-9.]{1,5}))?\s*")
_LARGEST = 4 << 20
_LONGEST_HEADER = 1000


class HasExtensions(Protocol):
    """What is asked of the extensions: those that are on."""

    @property
    def active(self) -> Sequence[Found]: ...


class Languages:
    """Reads files when they are asked for, and again when they have changed."""

    def __init__(
        self, extensions: HasExtensions | None = None, report: Report | None = None, folder: Path = LOCALES
    ) -> None:
        self._extensions = extensions
        self._report = report
        self._folder = folder
        self._read: dict[Path, tuple[int, Words]] = {}

    def words(self, language: str) -> Words:
        """Every text in that language; the program's own win over an extension's."""
        words: Words = {}
        for found in self._extensions.active if self._extensions is not None else ():
            path = found.folder / "locales" / f"{language}.json"
            if path.is_file():
                words.update(self._of_extension(found, path))
        own = self._own(language)
        if language == ENGLISH:
            own = {text: value for text, value in own.items() if value != text}
        return {**words, **own}

    def say(self, language: str, text: str, **values: object) -> str:
        """One sentence with its values, for the pages that have no script of ours."""
        said = text if language == ENGLISH else self._own(language).get(text, text)
        form = said.get("other", text) if isinstance(said, dict) else said
        return re.sub(r"\{(\w+)\}", lambda hole: str(values.get(hole[1], hole[0])), form)

    def page(self, markup: str, language: str) -> str:
        """An HTML page of ours in that language; what is in `<script>` and `<style>` is left alone."""
        pieces = re.split(r"(<(?:script|style)\b.*?</(?:script|style)>)", markup, flags=re.DOTALL)
        done = [piece if at % 2 else self._texts(piece, language) for at, piece in enumerate(pieces)]
        return "".join(done).replace('<html lang="en"', f'<html lang="{language}"', 1)

    def _texts(self, markup: str, language: str) -> str:
        def text(match: re.Match[str]) -> str:
            words = unescape(" ".join(match[3].split()))
            said = self.say(language, words)
            return match[0] if said == words else f"{match[1]}{match[2]}{escape(said)}{match[4]}"

        with_texts = re.sub(r"(>)(\s*)([^<>\s](?:[^<>]*[^<>\s])?)(\s*)(?=<)", text, markup)
        return re.sub(r'( (?:title|placeholder|aria-label|alt)=")()([^"{}]+)(")', text, with_texts)

    def _own(self, language: str) -> Words:
        """The program's; none where somebody is just writing in them."""
        path = self._folder / f"{language}.json"
        try:
            return self._file(path)
        except (OSError, ValueError, RecursionError) as error:
            _LOG.warning("%s cannot be used (%s)", path, error)
            return {}

    def _of_extension(self, found: Found, path: Path) -> Words:
        try:
            return self._file(path)
        except (OSError, ValueError, RecursionError) as error:
            if self._report is not None:
                self._report(found.name, f"Its words in locales/{path.name} cannot be used ({error}).")
            return {}

    def _file(self, path: Path) -> Words:
        """Raises OSError, or ValueError for what is no such object."""
        facts = path.stat()
        known = self._read.get(path)
        if known is None or known[0] != facts.st_mtime_ns:
            if facts.st_size > _LARGEST:
                raise ValueError("it is too large")
            known = (facts.st_mtime_ns, _checked(json.loads(path.read_text(encoding="utf-8"))))
            self._read[path] = known
        return known[1]


def _checked(content: object) -> Words:
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    for text, value in content.items():
        forms = value.values() if isinstance(value, dict) else (value,)
        if not all(isinstance(form, str) for form in forms):
            raise ValueError(f"{text[:60]!r} has a value that is neither a text nor plural forms")
    return content


def language_of(choice: str, accepted: str, known: Sequence[str] = LANGUAGES) -> str:
    """The language for somebody's `choice`; `accepted` is their browser's Accept-Language header."""
    if choice != BROWSER and choice in known:
        return choice
    for tag in _preferred(accepted):
        found = _nearest(tag, known)
        if found is not None:
            return found
    return ENGLISH


def _preferred(accepted: str) -> list[str]:
    """The tags of the header, the dearest first."""
    weighted: list[tuple[float, str]] = []
    for part in accepted[:_LONGEST_HEADER].split(","):
        match = _ACCEPTED.fullmatch(part)
        if match is None:
            continue
        try:
            weight = float(match[2]) if match[2] else 1.0
        except ValueError:
            continue
        if weight > 0 and match[1] != "*":
            weighted.append((weight, match[1]))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _nearest(tag: str, known: Sequence[str]) -> str | None:
    """That language itself, else the same one of another country: pt and pt-PT are served by pt-BR."""
    folded = {one.casefold(): one for one in known}
    wanted = tag.casefold()
    while wanted:
        if wanted in folded:
            return folded[wanted]
        wanted = wanted.rpartition("-")[0]
    main = tag.casefold().split("-")[0]
    return next((one for one in known if one.casefold().split("-")[0] == main), None)


def as_script(language: str, words: Mapping[str, object]) -> str:
    """What `static/translate.js` finds when it begins."""
    told = json.dumps({"language": language, "languages": LANGUAGES, "words": words}, ensure_ascii=False)
    return f"globalThis.webuiWords = {told.replace('<', chr(92) + 'u003c')};"
