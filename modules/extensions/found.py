"""Which extensions there are: folders, and installed packages that name themselves. Nothing of them is run here."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

ENTRY_POINTS = "webui.extensions"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
FILES = ("extension.py", "engine.py", "web.py")
MANIFEST = "extension.toml"
_HEAVY = frozenset(("torch", "torchvision", "diffusers", "transformers", "accelerate", "xformers", "spandrel"))
_HOOK_MARKS = ("hook", "hookimpl")

Kind = Literal["own", "a1111", "page"]


@dataclass(frozen=True)
class Found:
    """An extension as it lies on the disk. `name`: its folder's. `source`: "built in", "folder" or "package".

    `kind`: "own" has Python files of this program's manner, "a1111" those of A1111's, "page" only what the browser
    loads. `package`: how it is imported where it is an installed one. `problem`: why it cannot be loaded.
    """

    name: str
    folder: Path
    source: str
    kind: Kind
    title: str
    version: str = ""
    description: str = ""
    requirements: tuple[str, ...] = ()
    package: str = ""
    problem: str = ""

    def has(self, file: str) -> bool:
        return (self.folder / file).is_file()

    def files(self, folder: str, *endings: str) -> list[str]:
        """Names of the files in one of its folders, sorted."""
        place = self.folder / folder
        if not place.is_dir():
            return []
        return sorted(one.name for one in place.iterdir() if one.is_file() and one.name.endswith(endings))


@dataclass(frozen=True)
class _Manifest:
    title: str = ""
    version: str = ""
    description: str = ""
    problem: str = ""


def find_all(built_in: Path, user: Path) -> list[Found]:
    """Those that come with the program, those of the user's folder, installed packages; of one name the first."""
    found: dict[str, Found] = {}
    for one in (*_folders(built_in, "built in"), *_folders(user, "folder"), *_packages()):
        known = found.get(one.name.casefold())
        if known is None:
            found[one.name.casefold()] = one
        elif known.folder != one.folder:
            label = f"{one.name} ({one.source})"
            problem = f"Another extension is named {one.name} too ({known.source}); this one is left out."
            found[label.casefold()] = _with(one, name=label, problem=problem)
    return list(found.values())


def _folders(folder: Path, source: str) -> Iterator[Found]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith((".", "__")):
            one = read_folder(path, source)
            if one is not None:
                yield one


def _packages() -> Iterator[Found]:
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value) if "." not in point.value else None
        if spec is None or spec.origin is None or not NAME.fullmatch(point.name):
            continue
        one = read_folder(Path(spec.origin).parent, "package")
        if one is not None:
            version = one.version or (point.dist.version if point.dist else "")
            yield _with(one, name=point.name, package=point.value, version=version, requirements=())


def read_folder(folder: Path, source: str) -> Found | None:
    """What a folder holds; None where it is no extension."""
    kind = _kind(folder)
    if kind is None:
        return None
    manifest = _manifest(folder)
    problem = manifest.problem
    if not NAME.fullmatch(folder.name):
        problem = f"The folder name {folder.name!r} can have only letters, digits, - and _: rename it."
    return Found(
        name=folder.name,
        folder=folder,
        source=source,
        kind=kind,
        title=manifest.title or folder.name,
        version=manifest.version,
        description=manifest.description,
        requirements=_requirements(folder / "requirements.txt"),
        problem=problem,
    )


def _kind(folder: Path) -> Kind | None:
    if any((folder / file).is_file() for file in FILES):
        return "own"
    if (folder / "scripts").is_dir() or any((folder / f).is_file() for f in ("install.py", "preload.py")):
        return "a1111"
    page = (folder / "style.css").is_file() or any((folder / sub).is_dir() for sub in ("javascript", "locales"))
    return "page" if page or (folder / "localizations").is_dir() else None


def _manifest(folder: Path) -> _Manifest:
    """extension.toml, else A1111's metadata.ini; a broken one is said and not used."""
    try:
        if (folder / MANIFEST).is_file():
            entries = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return _Manifest(*(str(entries.get(key, "")) for key in ("title", "version", "description")))
        if (folder / "metadata.ini").is_file():
            parser = configparser.ConfigParser()
            parser.read(folder / "metadata.ini", encoding="utf-8")
            return _Manifest(title=parser.get("Extension", "Name", fallback=""))
    except (OSError, ValueError, configparser.Error) as error:
        return _Manifest(problem=f"Its {MANIFEST if (folder / MANIFEST).is_file() else 'metadata.ini'} cannot be "
                         f"read ({error}).")  # fmt: skip
    return _Manifest()


def _requirements(file: Path) -> tuple[str, ...]:
    """The packages a requirements file names, as they are written; options of pip are left out."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    bare = (line.split(" #")[0].strip() for line in lines)
    return tuple(line for line in bare if line and not line.startswith(("#", "-")))


def missing(requirements: Iterable[str]) -> list[str]:
    """Those that are not installed, or in another version."""
    return [text for text in requirements if not _is_installed(text)]


def _is_installed(text: str) -> bool:
    try:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


def heavy_import(file: Path) -> str | None:
    """The first library that a file imports at its top and that the web process must not have; None without one."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None  # importing it will say why
    for node in _top(tree.body):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            if name.split(".")[0] in _HEAVY:
                return name.split(".")[0]
    return None


def _top(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when a file is imported, also those in `if` and `try`."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _top(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _top([*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])])


def hooks_in(file: Path) -> list[str]:
    """Names of the hooks in a file, without running it."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [one.name for one in functions if any(_is_mark(mark) for mark in one.decorator_list)]


def _is_mark(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(target).rpartition(".")[2] in _HOOK_MARKS


def _with(found: Found, **changes: object) -> Found:
    return replace(found, **changes)  # type: ignore[arg-type]


def to_argument(found: Found) -> str:
    """An extension on the engine's command line."""
    return f"{found.name}={found.package}" if found.package else str(found.folder)


def from_argument(text: str) -> Found | None:
    """The extension that `to_argument` wrote; None where it is not there any more."""
    name, _, package = text.partition("=") if not Path(text).is_dir() else ("", "", "")
    if not package:
        return read_folder(Path(text), "folder")
    spec = importlib.util.find_spec(package)
    found = read_folder(Path(spec.origin).parent, "package") if spec and spec.origin else None
    return _with(found, name=name, package=package) if found else None
