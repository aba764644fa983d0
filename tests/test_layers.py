"""Who may import whom. The arrows are those of CONTRIBUTING.md; a new package needs a place in them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sources import ROOT, Source, imports, sources

MAY_IMPORT = {
    "schema": {"schema"},
    "prompts": {"schema", "prompts"},
    "catalog": {"schema", "prompts", "catalog"},
    "engine": {"schema", "prompts", "catalog", "engine"},
    "service": {"schema", "prompts", "catalog", "service"},
    "web": {"schema", "prompts", "catalog", "service", "web"},
    "flags": {"schema"},
    "cli": {"schema", "prompts", "catalog", "service", "web", "flags", "cli"},
    "docs": {"schema"},
    "bootstrap": {"schema"},
}

# Inside the engine each may import those before it; names on one line are independent of each other.
ENGINE_ORDER = (
    {"diffusion"},
    {"families"},
    {"text"},
    {"loading"},
    {"networks", "postprocess"},
    {"conditioning", "pace", "previews", "tiling"},  # the parts that generate.py is put together from
    {"generate"},
    {"training"},
    {"main"},
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
}

MODULES = sources("modules")
WEB_PROCESS = ("modules.web.server", "modules.service.app", "modules.cli")
HEAVY = ("torch", "transformers", "diffusers", "accelerate", "xformers")


def _layer(source: Source) -> str | None:
    return source.parts[1] if len(source.parts) > 1 else None


def _own_imports(source: Source) -> list[tuple[int, tuple[str, ...]]]:
    return [(line, name) for line, name in imports(source) if name[0] == "modules" and len(name) > 1]


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.name)
def test_arrow_between_packages(source: Source) -> None:
    layer = _layer(source)
    if layer is None:
        assert not _own_imports(source), "modules/__init__.py imports nothing"
        return
    assert layer in MAY_IMPORT, f"{source.name}: give '{layer}' a place in MAY_IMPORT"
    wrong = [f"{source.name}:{line} imports {'.'.join(name)}" for line, name in _own_imports(source)
             if name[1] not in MAY_IMPORT[layer]]  # fmt: skip
    assert not wrong


def _engine_rank(part: str) -> int:
    ranks = [rank for rank, names in enumerate(ENGINE_ORDER) if part in names]
    assert ranks, f"give modules/engine/{part} a place in ENGINE_ORDER"
    return ranks[0]


@pytest.mark.parametrize(
    "source", [s for s in MODULES if s.parts[1:2] == ("engine",) and len(s.parts) > 2], ids=lambda source: source.name
)
def test_arrow_inside_the_engine(source: Source) -> None:
    own = source.parts[2]
    rank = _engine_rank(own)
    wrong = []
    for line, name in _own_imports(source):
        if name[1] == "engine" and len(name) > 2 and name[2] != own and _engine_rank(name[2]) >= rank:
            same_group = rank == _engine_rank("generate") - 1 and _engine_rank(name[2]) == rank
            if not same_group:
                wrong.append(f"{source.name}:{line} imports {'.'.join(name)}")
    assert not wrong


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.name)
def test_libraries_stay_in_their_layer(source: Source) -> None:
    wrong = [
        f"{source.name}:{line} imports {name[0]}, which belongs in modules/{'/'.join(ONLY_IN[name[0]])}"
        for line, name in imports(source)
        if name[0] in ONLY_IN and source.parts[1 : 1 + len(ONLY_IN[name[0]])] != ONLY_IN[name[0]]
    ]
    assert not wrong


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.name)
def test_nothing_imports_the_door_or_the_tests(source: Source) -> None:
    wrong = [line for line, name in imports(source) if name[0] in {"webui", "tests", "benchmarks"}]
    assert not wrong, f"{source.name}:{wrong}"


def test_bootstrap_needs_the_standard_library_only() -> None:
    source = next(s for s in MODULES if s.name == "modules/bootstrap.py")
    foreign = {name[0] for _, name in imports(source)} - set(sys.stdlib_module_names) - {"__future__"}
    assert foreign == {"modules"}
    assert {name for _, name in _own_imports(source)} == {("modules", "schema", "errors")}


@pytest.mark.parametrize("module", WEB_PROCESS)
def test_the_web_process_has_no_torch(module: str) -> None:
    script = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
