"""Rules of the house that a linter does not know, and the linter itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, Source, imports, sources

ALL = sources(".", "modules", "benchmarks", "tests")
PRODUCT = sources(".", "modules", "benchmarks")

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# Imports inside a function: (file, function) -> why it cannot be at the top.
LATE_IMPORTS = {
    ("webui.py", "main"): "what modules.cli imports exists only inside .venv",
    ("modules/cli.py", "_serve"): "gradio takes seconds and is not needed by txt2img; the engine starts meanwhile",
}

# The only files that speak to a terminal.
PRINTING = ("modules/bootstrap.py", "modules/cli.py", "benchmarks/")

MACHINE = re.compile(r"(?<![A-Za-z0-9_.])/(?:work|farm|root|home)/|/tmp/v\b")
REGISTRY = re.compile(r"pypi[.]org|pythonhosted|download[.]pytorch|--(?:extra-)?index-url|--find-links")
TEXT = {".py", ".md", ".txt", ".toml", ".js", ".css", ".html", ".json", ".yml", ".yaml", ""}


def _ids(source: Source) -> str:
    return source.name


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("source", ALL, ids=_ids)
def test_files_are_short(source: Source) -> None:
    assert source.text.count("\n") <= LONGEST_FILE


@pytest.mark.parametrize("source", ALL, ids=_ids)
def test_functions_are_short(source: Source) -> None:
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in _functions(source.tree)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@pytest.mark.parametrize("source", ALL, ids=_ids)
def test_no_global_statement(source: Source) -> None:
    assert not [node.lineno for node in ast.walk(source.tree) if isinstance(node, ast.Global)]


@pytest.mark.parametrize("source", PRODUCT, ids=_ids)
def test_imports_are_at_the_top(source: Source) -> None:
    wrong = [
        f"{source.name}:{node.lineno} in {function.name}"
        for function in _functions(source.tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and (source.name, function.name) not in LATE_IMPORTS
    ]
    assert not wrong


def test_the_list_of_late_imports_is_current() -> None:
    used = {
        (source.name, function.name)
        for source in ALL
        for function in _functions(source.tree)
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
    }
    assert set(LATE_IMPORTS) <= used


def _imported_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _root(node: ast.expr) -> str | None:
    """`a` of `a.b.c`; None for anything that is not such a chain."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _assigned(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        return [part for target in node.targets for part in _unpacked(target)]
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"setattr", "delattr"}:
        return [ast.Attribute(value=node.args[0], attr="?")] if node.args else []
    return []


def _unpacked(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        return [part for element in target.elts for part in _unpacked(element)]
    return [target]


def _patches(node: ast.AST, imported: set[str]) -> Iterator[int]:
    """Lines below `node` that assign to an attribute of an imported name; parameters hide names."""
    for child in ast.iter_child_nodes(node):
        hidden = set()
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            hidden = {argument.arg for argument in ast.walk(child.args) if isinstance(argument, ast.arg)}
        for target in _assigned(child):
            if isinstance(target, ast.Attribute) and _root(target) in imported:
                yield getattr(child, "lineno", 0)
        yield from _patches(child, imported - hidden)


@pytest.mark.parametrize("source", PRODUCT, ids=_ids)
def test_nothing_imported_is_changed(source: Source) -> None:
    assert not list(_patches(source.tree, _imported_names(source.tree)))


def test_the_patch_finder_finds_patches() -> None:
    code = "import a.b as c, d\nc.x = 1\nd.e.f += 1\nsetattr(d, 'x', 1)\ndel d.x\n"
    code += "def g(d):\n    d.x = 1\n    (c.y, z) = 1, 2\n"
    tree = ast.parse(code)
    assert list(_patches(tree, _imported_names(tree))) == [2, 3, 4, 5, 8]


def _calls(source: Source, name: str) -> Iterator[ast.Call]:
    """Calls of `name` or of `anything.name`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name:
            yield node


@pytest.mark.parametrize("source", PRODUCT, ids=_ids)
def test_only_the_command_line_prints(source: Source) -> None:
    if not source.name.startswith(PRINTING):
        assert not [node.lineno for node in _calls(source, "print")]


@pytest.mark.parametrize("source", PRODUCT, ids=_ids)
def test_nothing_is_really_unpickled(source: Source) -> None:
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert not [f"line {line}: {name[0]}" for line, name in imports(source) if name[0] in unsafe]
    loads = [node for node in _calls(source, "load") if ast.unparse(node.func) == "torch.load"]
    safe = [n for n in loads for k in n.keywords if k.arg == "weights_only" and ast.unparse(k.value) == "True"]
    assert len(loads) == len(safe)
    evaluated = [node.lineno for name in ("eval", "exec") for node in _calls(source, name)
                 if isinstance(node.func, ast.Name)]  # fmt: skip
    assert not evaluated


def _project_files() -> list[Path]:
    """Tracked and new files, without what .gitignore names; everything where git is not at hand."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return [ROOT / name for name in result.stdout.split("\0") if name]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def test_no_file_names_this_machine_or_a_registry() -> None:
    wrong = []
    for path in _project_files():
        if path.suffix in TEXT and path.is_file() and path.name != Path(__file__).name:
            text = path.read_text(encoding="utf-8", errors="replace")
            wrong += [f"{path.relative_to(ROOT)}: {match.group()}" for pattern in (MACHINE, REGISTRY)
                      for match in pattern.finditer(text)]  # fmt: skip
    assert not wrong


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_is_content(command: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_old_pythons_can_read_the_way_to_the_sentence() -> None:
    for name in ("webui.py", "modules/__init__.py", "modules/bootstrap.py", "modules/schema/__init__.py",
                 "modules/schema/errors.py", "tests/__init__.py", "tests/__main__.py"):  # fmt: skip
        ast.parse((ROOT / name).read_text(encoding="utf-8"), name, feature_version=(3, 8))
