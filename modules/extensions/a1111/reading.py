"""What an extension of A1111's manner does that cannot be done here, read from its files before they are run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from modules.extensions.a1111.finder import MODEL_PARTS
from modules.extensions.a1111.script import NOT_CALLED

_HEAVY = frozenset(("torch", "torchvision", "diffusers", "transformers", "ldm", "k_diffusion", "sgm", "xformers"))


def refusal(file: Path) -> str | None:
    """Why a script cannot be loaded at all; None where nothing speaks against it."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError) as error:
        return f"{file.name} cannot be read ({error})."
    for line, name in _imports(tree):
        if name.split(".")[0] in _HEAVY:
            return (
                f"{file.name} imports {name} (line {line}): scripts of A1111's manner run in the web process, which "
                "has no models. This script is not loaded."
            )
        if name.startswith("modules.") and name.split(".")[1] in MODEL_PARTS:
            return (
                f"{file.name} imports {name} (line {line}), which works on A1111's model objects; this program has "
                "none. This script is not loaded."
            )
    return None


def remarks(folder: Path, files: list[Path]) -> list[str]:
    """What of an extension has no effect here, in sentences."""
    found: list[str] = []
    if (folder / "install.py").is_file():
        found.append("Its install.py is not run: nothing is installed unasked. What it needs must be installed by "
                     "hand, or be named in a requirements.txt.")  # fmt: skip
    if (folder / "preload.py").is_file():
        found.append("Its preload.py is not run: it can add no command-line flags.")
    for file in files:
        found += [
            f"{file.name}: {name} is never called, for it works on A1111's model objects or its page."
            for name in _methods(file)
            if name in NOT_CALLED
        ]
    return found


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            if node.module == "modules":
                yield from ((node.lineno, f"modules.{alias.name}") for alias in node.names)


def _methods(file: Path) -> list[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError):
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [one.name for node in classes for one in node.body if isinstance(one, ast.FunctionDef)]
