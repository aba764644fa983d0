"""Sentences in JavaScript files: string and template literals that people may read, as templates.

A small reader of JavaScript's literals (comments, strings, templates within templates, regular expressions) is
enough: what is between them matters only for telling a division from a regular expression.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_REGEX_AFTER = re.compile(r"(?:^|[(,=:\[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void))\s*$")
_TERNARY = re.compile(r"^[^?]*\?(?![.?])\s*(.+)$", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0"}


@dataclass
class Literal:
    """`pieces`: texts, and for each `${...}` a (source, inner literals) pair; `before`: the source just before it."""

    pieces: list[str | Hole] = field(default_factory=list)
    before: str = ""
    after: str = ""

    @property
    def is_plain(self) -> bool:
        return all(isinstance(piece, str) for piece in self.pieces)


@dataclass
class Hole:
    """What stands in a `${...}`."""

    source: str
    literals: list[Literal]


def literals(source: str) -> list[Literal]:
    """The outermost literals of a file, in order."""
    return _Reader(source).code(until=None)[0]


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def code(self, until: str | None) -> tuple[list[Literal], str]:
        """Literals up to the closing brace of a hole (or the end), and the source that was read."""
        begin, depth, found = self._at, 0, []
        while self._at < len(self._source):
            char = self._source[self._at]
            if until and char == until and depth == 0:
                break
            if char in "'\"`":
                found.append(self._literal(char))
                continue
            if char == "/" and self._skip_slash():
                continue
            depth += (char == "{") - (char == "}")
            self._at += 1
        return found, self._source[begin : self._at]

    def _literal(self, quote: str) -> Literal:
        made = Literal(before=self._source[max(0, self._at - 120) : self._at])
        self._at += 1
        text = ""
        while self._source[self._at] != quote:
            if self._source[self._at] == "\\":
                text += self._escaped()
            elif quote == "`" and self._source.startswith("${", self._at):
                self._at += 2
                inner, source = self.code(until="}")
                self._at += 1
                made.pieces += [text, Hole(source, inner)]
                text = ""
            else:
                text += self._source[self._at]
                self._at += 1
        self._at += 1
        made.pieces.append(text)
        made.after = self._source[self._at : self._at + 40]
        return made

    def _escaped(self) -> str:
        char = self._source[self._at + 1]
        length = {"x": 4, "u": 6}.get(char, 2)
        if char == "u" and self._source[self._at + 2] == "{":
            length = self._source.index("}", self._at) - self._at + 1
        raw = self._source[self._at : self._at + length]
        self._at += length
        return chr(int(raw[2:].strip("{}"), 16)) if length > 2 else _ESCAPES.get(char, char)

    def _skip_slash(self) -> bool:
        """Past a comment or a regular expression; False for a division."""
        if self._source.startswith("//", self._at):
            end = self._source.find("\n", self._at)
            self._at = len(self._source) if end < 0 else end
            return True
        if self._source.startswith("/*", self._at):
            self._at = self._source.index("*/", self._at) + 2
            return True
        if not _REGEX_AFTER.search(self._source[max(0, self._at - 40) : self._at]):
            return False
        in_class = False
        self._at += 1
        while in_class or self._source[self._at] != "/":
            if self._source[self._at] == "\\":
                self._at += 1
            in_class = (in_class or self._source[self._at] == "[") and self._source[self._at] != "]"
            self._at += 1
        self._at += 1
        return True


def every(found: list[Literal]) -> Iterator[Literal]:
    """Literals and those in their holes."""
    for one in found:
        yield one
        for piece in one.pieces:
            if isinstance(piece, Hole):
                yield from every(piece.literals)


def templates(literal: Literal) -> list[str]:
    """The texts that a literal can have; a hole that chooses between two plain texts gives both."""
    if literal.is_plain:
        return ["".join(map(str, literal.pieces))]
    choices = [[piece] if isinstance(piece, str) else _hole(piece) for piece in literal.pieces]
    return [_numbered("".join(chosen)) for chosen in itertools.islice(itertools.product(*choices), 8)]


def _hole(hole: Hole) -> list[str]:
    chosen = _TERNARY.match(hole.source)
    plain = [one for one in hole.literals if one.is_plain and one.before.rstrip().endswith(("?", ":"))]
    if chosen and len(plain) == 2 and len(hole.literals) == 2:
        return ["".join(map(str, one.pieces)) for one in plain]
    return [f"{{{_name(hole.source)}}}"]


def _name(source: str) -> str:
    """The last name of an expression that is no method: `step` of `this.#info.step.toLocaleString("en")`."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "", source)
    bare = re.split(r"\?(?!\.)|\|\|", bare)[0]
    inner = re.search(r"\(([\w.#]+)[^()]*\)$", bare)
    words = re.findall(r"[A-Za-z_]\w*(?!\w*\s*\()", inner[1] if inner else bare)
    words = [word for word in words if word not in ("this", "Math", "length", "entry")] or ["n"]
    return words[-1] if "length" not in bare else "n"


def _numbered(text: str) -> str:
    seen: dict[str, int] = {}

    def named(match: re.Match[str]) -> str:
        seen[match[1]] = seen.get(match[1], 0) + 1
        return f"{{{match[1]}{seen[match[1]] if seen[match[1]] > 1 else ''}}}"

    return re.sub(r"\{(\w+)\}", named, text)


_TECHNICAL = re.compile(
    r"(?:\b(?:one|all|action|panel|closest|matches|querySelector(?:All)?|getElementById|addEventListener|fits"
    r"|removeEventListener|getAttribute|toggleAttribute|removeAttribute|hasAttribute|createElement(?:NS)?|make|svg|getContext"
    r"|toggle|add|remove|contains|post|get|call|address|ask|join|split|startsWith|endsWith|replace|replaceAll|receive"
    r"|Event|CustomEvent|matchMedia|openTab|fetch|setProperty|removeProperty|getItem|setItem|padStart|opened|icon)\(\s*"
    r"|\b(?:className|type|inputMode|id|rel|href|src|autocomplete|spellcheck"
    r"|dataset\.\w+|globalCompositeOperation|lineCap|lineJoin|dateStyle|timeStyle|font)\s*[:=]\s*"
    r"|(?:[!=]==|\bcase|\bimport|\bfrom|\bin)\s*|setAttribute\(\s*"
    r"|setAttribute\(\s*[\"'](?:role|class|type|id|style|aria-(?!label|description|valuetext|roledescription|placeholder)[\w-]+"
    r"|data-[\w-]+|d|viewBox|points|transform|text-anchor|tabindex|rel|href|src|translate)[\"'],\s*)$"
)
_TRANSLATED = re.compile(r"\b(?<![.#])t\(\s*$")
_SHOWN = re.compile(
    r"(?:\b(?:textContent|title|ariaLabel|placeholder|alt|label|help|text|words)\s*[:=]\s*|\b(?:t|say|flash)\((?:[\w.#]+,\s*)?"
    r"|aria-label[\"'],\s*)$"
)
_KEYS = {
    "ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "Backspace", "Content-Type", "Delete", "End", "Enter",
    "Escape", "Home", "PageDown", "PageUp", "Space", "Tab", "GET", "POST", "PUT", "PATCH",
    "DELETE", "Control", "Meta", "Shift",
}  # fmt: skip
_NO_WORDS = re.compile(r"[<>{}\[\]=#_]|px 0|^0 \s*px|://|\dpx\b| px\b.*;|^\(m|\d[hvazHVAZ]\d|^[./-]|^\w+\(|\bvar\(")
_PATH = re.compile(r"[\w{}./?&-]*[/?_&-][\w{}./?&-]*")
_WORD = re.compile(r"[A-Za-z]{2,}")
_HOLE = re.compile(r"\{\w+\}")


def sentences(source: str) -> Iterator[str]:
    """What of a file's literals people may read, each once."""
    seen: set[str] = set()
    for literal, inner in _with_depth(literals(source)):
        for text in templates(literal):
            # translate.js takes what is between these points by itself.
            for part in " ".join(text.split()).split(" · "):
                clean = part.strip(" ·")
                if clean not in seen and _is_shown(literal, clean, inner):
                    seen.add(clean)
                    yield clean


def _with_depth(found: list[Literal], inner: bool = False) -> Iterator[tuple[Literal, bool]]:
    for one in found:
        yield one, inner
        for piece in one.pieces:
            if isinstance(piece, Hole) and len(_hole(piece)) == 1:
                yield from _with_depth(piece.literals, True)


def _is_shown(literal: Literal, text: str, inner: bool) -> bool:
    before = literal.before
    bare = _HOLE.sub(" ", text)
    if _TRANSLATED.search(before) and re.search(r"[A-Za-z]", bare):
        return True
    if not text or not _WORD.search(bare) or _TECHNICAL.search(before) or text in _KEYS:
        return False
    if re.match(r"\s*:", literal.after) and re.search(r"[{,]\s*$", before):
        return False  # the name of a property
    if _NO_WORDS.search(bare) or _PATH.fullmatch(text):
        return False
    if _SHOWN.search(before):
        return True
    starts = text[0].isupper() or text[0] in "{0123456789"
    return bool(starts and (" " in text or text[0].isupper())) or len(_WORD.findall(bare)) > 2 and not inner
