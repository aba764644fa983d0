"""Rules of the house that a linter does not know, and the linter itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, Source, sources

ALL = sources(".", "modules", "benchmarks", "extensions-builtin", "tests")
PRODUCT = sources(".", "modules", "benchmarks", "extensions-builtin")

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# Imports inside a function: (file, function) -> why they cannot be at the top.
LATE_IMPORTS = {
    ("webui.py", "main"): "what modules.cli imports exists only inside .venv",
    ("modules/cli.py", "_serve"): "txt2img needs no server; for the page the engine process starts meanwhile",
    ("modules/engine/main.py", "_parts"): "the engine answers on its pipes while torch is being imported",
}

# The only files that speak to a terminal.
PRINTING = ("modules/bootstrap.py", "modules/terminal.py", "benchmarks/")

UNSAFE = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SAFE_NAMES = {"UnpicklingError", "PickleError"}
MACHINE = re.compile(r"(?<![A-Za-z0-9_.])/(?:work|farm|root|home)/|/tmp/v\b")
REGISTRY = re.compile(r"pypi[.]org|pythonhosted|download[.]pytorch|--(?:extra-)?index-url|--find-links")
TEXT = {".py", ".md", ".txt", ".toml", ".js", ".css", ".html", ".json", ".yml", ".yaml", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def test_files_are_short() -> None:
    lengths = {source.name: source.text.count("\n") for source in ALL}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_functions_are_short() -> None:
    lengths = {
        f"{source.name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for source in ALL
        for node in _functions(source.tree)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_no_global_statement() -> None:
    assert not [f"{s.name}:{node.lineno}" for s in ALL for node in ast.walk(s.tree) if isinstance(node, ast.Global)]


def test_imports_are_at_the_top() -> None:
    late = {
        (source.name, function.name)
        for source in PRODUCT
        for function in _functions(source.tree)
        if any(isinstance(node, Import) for node in ast.walk(function))
    }
    assert late == set(LATE_IMPORTS)


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
    """What a statement (or a setattr) assigns to or deletes."""
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
        if isinstance(child, Function | ast.Lambda):
            hidden = {argument.arg for argument in ast.walk(child.args) if isinstance(argument, ast.arg)}
        for target in _assigned(child):
            if isinstance(target, ast.Attribute) and _root(target) in imported:
                yield getattr(child, "lineno", 0)
        yield from _patches(child, imported - hidden)


def test_nothing_imported_is_changed() -> None:
    assert not [f"{s.name}:{line}" for s in PRODUCT for line in _patches(s.tree, _imported_names(s.tree))]


def test_the_patch_finder_finds_patches() -> None:
    code = "import a.b as c, d\nc.x = 1\nd.e.f += 1\nsetattr(d, 'x', 1)\ndel d.x\n"
    code += "def g(d):\n    d.x = 1\n    (c.y, z) = 1, 2\n"
    tree = ast.parse(code)
    assert list(_patches(tree, _imported_names(tree))) == [2, 3, 4, 5, 8]


def _calls(source: Source, name: str) -> Iterator[ast.Call]:
    """Calls of `name`: plain for a builtin, dotted as written for anything else."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield node


def test_only_the_command_line_prints() -> None:
    quiet = [source for source in PRODUCT if not source.name.startswith(PRINTING)]
    assert not [f"{source.name}:{node.lineno}" for source in quiet for node in _calls(source, "print")]


def _unpickling(tree: ast.Module) -> Iterator[int]:
    """Lines that import or use more of an unpickler than its exceptions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in UNSAFE:
            yield from (node.lineno for alias in node.names if alias.name not in SAFE_NAMES)
        elif isinstance(node, ast.Import):
            yield from (node.lineno for alias in node.names if alias.name in UNSAFE and alias.name != "pickle")
        elif isinstance(node, ast.Attribute) and _root(node) == "pickle" and node.attr not in SAFE_NAMES:
            yield node.lineno


def _loads_anything(call: ast.Call) -> bool:
    return not any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)


def test_nothing_from_a_file_is_run() -> None:
    wrong = [f"{source.name}:{line} unpickles" for source in PRODUCT for line in _unpickling(source.tree)]
    for source in PRODUCT:
        wrong += [f"{source.name}:{c.lineno} torch.load" for c in _calls(source, "torch.load") if _loads_anything(c)]
        wrong += [f"{source.name}:{c.lineno} {name}" for name in ("eval", "exec") for c in _calls(source, name)]
    assert not wrong


def test_the_unpickling_finder_finds_it() -> None:
    code = "import pickle\nimport dill\nfrom pickle import loads, PickleError\npickle.load(f)\n"
    code += "try: ...\nexcept pickle.UnpicklingError: ...\n"
    assert sorted(_unpickling(ast.parse(code))) == [2, 3, 4]
    assert _loads_anything(ast.parse("torch.load(f, weights_only=False)").body[0].value)  # type: ignore[attr-defined]


def _project_files() -> list[Path]:
    """Tracked and new files, without what .gitignore names; everything where git is not at hand."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return [ROOT / name for name in result.stdout.split("\0") if name]
    return [path for path in ROOT.rglob("*") if not {".venv", "cache", "outputs"} & set(path.parts)]


def test_no_file_names_this_machine_or_a_registry() -> None:
    wrong = []
    for path in _project_files():
        if path.suffix in TEXT and path.is_file() and path.name != Path(__file__).name:
            text = path.read_text(encoding="utf-8", errors="replace")
            found = {match.group() for pattern in (MACHINE, REGISTRY) for match in pattern.finditer(text)}
            wrong += [f"{path.relative_to(ROOT)}: {words}" for words in sorted(found)]
    assert not wrong


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_is_content(command: tuple[str, ...]) -> None:
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


OLD_PYTHON_READS = (
    "webui.py",
    "modules/__init__.py",
    "modules/bootstrap.py",
    "modules/schema/__init__.py",
    "modules/schema/errors.py",
    "tests/__init__.py",
    "tests/__main__.py",
    "tests/chromium.py",
)


@pytest.mark.parametrize("name", OLD_PYTHON_READS)
def test_an_old_python_can_read_the_way_to_the_sentence(name: str) -> None:
    ast.parse((ROOT / name).read_text(encoding="utf-8"), name, feature_version=(3, 8))
