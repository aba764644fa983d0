"""The project's own Python files, parsed, for the tests that read code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """`name` is the path below the root, with slashes."""

    name: str
    text: str
    tree: ast.Module

    @property
    def parts(self) -> tuple[str, ...]:
        """The dotted name in pieces: ("modules", "engine", "main"); a package is its folder."""
        parts = self.name.removesuffix(".py").split("/")
        return tuple(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """All Python files of the folders, and webui.py where "." is among them."""
    paths: list[Path] = []
    for folder in folders:
        paths += [ROOT / "webui.py"] if folder == "." else sorted((ROOT / folder).rglob("*.py"))
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def imports(source: Source) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, dotted name in pieces) of everything the file imports, wherever in the file.

    `from a import b` counts as `a.b` where that is a file or folder of this project, else as `a`.
    """
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(source, node)
            for alias in node.names:
                deeper = (*base, alias.name)
                path = ROOT.joinpath(*deeper)
                yield node.lineno, deeper if path.is_dir() or path.with_suffix(".py").is_file() else base


def _base(source: Source, node: ast.ImportFrom) -> tuple[str, ...]:
    named = tuple(node.module.split(".")) if node.module else ()
    if not node.level:
        return named
    package = source.name.removesuffix(".py").split("/")[: -node.level]
    return (*package, *named)
