"""Who may import whom. The arrows are those of CONTRIBUTING.md; a new package needs a place in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, Source, imports, sources

# Every part of modules/, and the parts that it may import beside itself. All may import `version`.
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "schema": set(),
    "prompts": {"schema"},
    "catalog": {"schema", "prompts"},
    "extensions": {"schema"},
    "engine": {"schema", "prompts", "catalog", "extensions"},
    "service": {"schema", "prompts", "catalog", "extensions"},
    "web": {"schema", "prompts", "catalog", "service", "extensions"},
    "flags": {"schema", "catalog"},
    "terminal": {"schema", "service", "flags"},
    "training_command": {"schema", "service", "flags", "terminal"},
    "user_command": {"schema", "service", "flags", "terminal"},
    "cli": {
        "schema",
        "prompts",
        "catalog",
        "service",
        "web",
        "flags",
        "bootstrap",
        "terminal",
        "training_command",
        "user_command",
    },
    "docs": {"schema", "extensions"},
    "bootstrap": {"schema"},
}

# Inside the engine each may import those on the lines before it; those on one line know nothing of each other,
# except the pieces that generate.py is put together from.
PIECES = {
    "canvas",
    "conditioning",
    "hires",
    "original",
    "pace",
    "passes",
    "previews",
    "ready",
    "staged",
    "refine",
    "supplies",
    "tiling",
}
ENGINE_ORDER = (
    {"torchvision_ops", "orders", "pipes"},
    {"diffusion", "pixels"},
    {"families"},
    {"text"},
    {"loading"},
    {"networks", "postprocess", "merging", "captioning"},
    PIECES,
    {"generate"},
    {"extending"},
    {"training"},
    {"main", "embedding_tool"},
)

ONLY_IN = {
    "gradio": ("web", "ui"),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "torch": ("engine",),
    "transformers": ("engine",),
    "diffusers": ("engine",),
    "accelerate": ("engine",),
    "xformers": ("engine",),
    "torchvision": ("engine",),
    "spandrel": ("engine",),
    "onnxruntime": ("engine",),
}

# Extensions in A1111's manner build their options with Gradio; what A1111 adds to it is there for those that ask.
ELSEWHERE = {("modules/extensions/a1111/names/ui_components.py", "gradio")}

MODULES = sources("modules")
WEB_PROCESS = ("modules.web.server", "modules.service.app", "modules.cli", "modules.web.ui.page")
HEAVY = ("torch", "transformers", "diffusers", "accelerate", "xformers", "torchvision", "spandrel", "onnxruntime")
NEED_TORCHVISION = {"transformers", "diffusers", "spandrel"}


def _own_imports(source: Source) -> Iterator[tuple[str, tuple[str, ...]]]:
    """("file:line imports name", name in pieces) of what the file imports from modules/."""
    for line, name in imports(source):
        if name[0] == "modules" and len(name) > 1:
            yield f"{source.name}:{line} imports {'.'.join(name)}", name


def test_every_part_has_its_place() -> None:
    parts = {source.parts[1] for source in MODULES if len(source.parts) > 1}
    assert parts <= set(MAY_IMPORT), "give the new parts a place in MAY_IMPORT"
    pieces = {source.parts[2] for source in MODULES if source.parts[1:2] == ("engine",) and len(source.parts) > 2}
    assert pieces <= set().union(*ENGINE_ORDER), "give the new parts of the engine a place in ENGINE_ORDER"


def test_arrows_between_packages() -> None:
    wrong = []
    for source in MODULES:
        part = source.parts[1] if len(source.parts) > 1 else ""
        allowed = MAY_IMPORT.get(part, set()) | {part, "version"} if part else set()
        wrong += [text for text, name in _own_imports(source) if name[1] not in allowed]
    assert not wrong


def _rank(part: str) -> int:
    return next((rank for rank, parts in enumerate(ENGINE_ORDER) if part in parts), -1)


def test_arrows_inside_the_engine() -> None:
    wrong = []
    for source in MODULES:
        if source.parts[1:2] != ("engine",) or len(source.parts) < 3:
            continue
        own = source.parts[2]
        for text, name in _own_imports(source):
            other = name[2] if name[1] == "engine" and len(name) > 2 else own
            if other != own and _rank(other) >= _rank(own) and not {own, other} <= PIECES:
                wrong.append(text)
    assert not wrong


def test_libraries_stay_in_their_layer() -> None:
    wrong = [
        f"{source.name}:{line} imports {name[0]}, which belongs in modules/{'/'.join(home)}"
        for source in MODULES
        for line, name in imports(source)
        if (home := ONLY_IN.get(name[0]))
        and (source.name, name[0]) not in ELSEWHERE
        and source.parts[1 : 1 + len(home)] != home
    ]
    assert not wrong


def test_torchvision_is_made_importable_first() -> None:
    """Each package that imports one of these has the missing operators declared by its own `__init__`."""
    importing = {
        Path(source.name).parent for source in MODULES for _, name in imports(source) if name[0] in NEED_TORCHVISION
    }
    declaring = {
        Path(source.name).parent
        for source in MODULES
        if source.name.endswith("__init__.py") and "declare_missing_ops()" in source.text
    }
    assert importing <= declaring


def test_nothing_imports_the_door_or_the_tests() -> None:
    outside = {"webui", "tests", "benchmarks"}
    assert not [f"{s.name}:{line}" for s in MODULES for line, name in imports(s) if name[0] in outside]


def test_bootstrap_needs_the_standard_library_only() -> None:
    reached = {("modules", "bootstrap")}
    for source in MODULES:
        if source.name in ("modules/bootstrap.py", "modules/schema/errors.py", "modules/schema/__init__.py"):
            reached |= {name for _, name in imports(source) if name[0] not in sys.stdlib_module_names}
    assert reached <= {("modules", "bootstrap"), ("modules", "schema", "errors")}


@pytest.mark.parametrize("module", WEB_PROCESS)
def test_the_web_process_has_no_torch(module: str) -> None:
    script = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
