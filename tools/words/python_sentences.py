"""Sentences in Python files: knobs' labels and helps, and what is raised, noticed or answered, as templates.

An f-string becomes a template whose placeholders are named by their expressions: f"{path.name} is empty." is
"{name} is empty.". Where an f-string chooses between texts, there is a template for each choice.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

_LOGGING = {"_LOG", "log", "_log", "logger", "logging"}
_WORD = re.compile(r"[A-Za-z]{2,}")
_END = (".", "?", "!")
_MOST_CHOICES = 12
# Keyword arguments that are documentation of the API, and calls whose texts are no sentences for people.
_UNSHOWN_KEYWORDS = {"description", "doc", "alias", "pattern", "usage", "epilog"}
_UNSHOWN_CALLS = {"compile", "add_argument", "execute", "executescript", "getLogger", "warn", "print"}
_SHOWN_CALLS = {"Notice", "Remark", "Problem", "Failed", "Told"}


def knob_texts(tree: ast.AST) -> Iterator[str]:
    """Labels, helps, units and the listed choices of the knobs that a file declares."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            yield from _knob(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Registry", "UnknownName") and node.args:
            yield from texts_of(node.args[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from _section_titles(node)


def _knob(node: ast.AnnAssign) -> Iterator[str]:
    call = node.value
    if not (isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "knob"):
        return
    for argument in call.args[1:3]:
        yield from texts_of(argument)
    for keyword in call.keywords:
        if keyword.arg in ("label", "help", "unit"):
            yield from texts_of(keyword.value)
    yield from _choices(node.annotation)


def _choices(annotation: ast.AST) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
            yield from (one.value for one in ast.walk(node.slice) if _is_text(one))


def _section_titles(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    named = {target.id for target in targets if isinstance(target, ast.Name)}
    if named & {"SECTIONS", "CHOICES", "LABELS"} and isinstance(node.value, ast.Dict):
        yield from (one.value for one in node.value.values if _is_text(one))
    if any(name.endswith(("Mode", "Content", "Choice", "Method")) for name in named):
        yield from _choices(node.value)  # type: ignore[arg-type]


def sentences(tree: ast.Module) -> Iterator[str]:
    """Texts of a file that end as sentences do and are neither documentation nor for the log; and, however they end,
    those given to what is raised or shown."""
    hidden = set(_documentation(tree)) | set(_unshown(tree))
    shown = set(_raised(tree))
    for node in _outermost(tree):
        if id(node) in hidden:
            continue
        for text in texts_of(node):
            if is_sentence(text, anyway=id(node) in shown):
                yield text


def is_sentence(text: str, *, anyway: bool = False) -> bool:
    """Whether people may read it: words with spaces between them that end as sentences do."""
    bare = re.sub(r"\{\w+\}", "", text)
    if len(_WORD.findall(bare)) < 2 or " " not in bare.strip() or "\n" in text.strip() or "://" in text:
        return False
    if not (text[0].isupper() or text[0] in "{'\"(" or text[0].isdigit()):
        return False
    return anyway or text.rstrip("\"')").endswith(_END)


def texts_of(node: ast.AST) -> list[str]:
    """The texts that an expression can have, with placeholders; none where it is no text."""
    if isinstance(node, ast.Constant):
        return [_numbered(node.value.replace("{}", "{value}"))] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return _joined(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _product([texts_of(node.left) or [_hole(node.left)], texts_of(node.right) or [_hole(node.right)]])
    if isinstance(node, ast.IfExp):
        return [*texts_of(node.body), *texts_of(node.orelse)]
    return []


def _joined(node: ast.JoinedStr) -> list[str]:
    pieces: list[list[str]] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            chosen = texts_of(part.value) if isinstance(part.value, ast.IfExp | ast.JoinedStr) else []
            if isinstance(part.value, ast.IfExp) and len(chosen) < 2:
                chosen = [*chosen, _hole(part.value.body if not texts_of(part.value.body) else part.value.orelse)]
            pieces.append(chosen or [_hole(part.value)])
        else:
            pieces.append(texts_of(part))
    return _product(pieces)


def _product(pieces: list[list[str]]) -> list[str]:
    made = ["".join(chosen) for chosen in itertools.islice(itertools.product(*pieces), _MOST_CHOICES)]
    return [_numbered(text) for text in made]


def _numbered(text: str) -> str:
    """Placeholders of one name that stand for different things get numbers: {name}, {name2}."""
    seen: dict[str, int] = {}

    def named(match: re.Match[str]) -> str:
        name = match[1].rstrip("0123456789") or match[1]
        seen[name] = seen.get(name, 0) + 1
        return f"{{{name}{seen[name] if seen[name] > 1 else ''}}}"

    return re.sub(r"\{(\w+)\}", named, text)


def _hole(node: ast.AST) -> str:
    return f"{{{_name(node)}}}"


def _name(node: ast.AST) -> str:  # noqa: PLR0911 - one line for each kind of expression
    if isinstance(node, ast.Name):
        return node.id.strip("_").lower() or "value"
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_").lower()
    if isinstance(node, ast.Call):
        inside = [one for one in node.args if not isinstance(one, ast.Constant)]
        if isinstance(node.func, ast.Attribute) and node.func.attr != "join":
            return _name(node.func.value) if not inside else _name(inside[0])
        return _name(inside[0]) if inside else "value"
    if isinstance(node, ast.Subscript):
        return _name(node.slice) if isinstance(node.slice, ast.Constant) else _name(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        return node.value.lower()
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _name(node.elt)
    if isinstance(node, ast.BinOp):
        return _name(node.left) if not isinstance(node.left, ast.Constant) else _name(node.right)
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    return "value"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _outermost(node: ast.AST) -> Iterator[ast.expr]:
    """Text expressions that are no part of a larger one."""
    for child in ast.iter_child_nodes(node):
        whole = isinstance(child, ast.JoinedStr) or _is_text(child)
        added = isinstance(child, ast.BinOp) and isinstance(child.op, ast.Add) and texts_of(child)
        if whole or added:
            yield child  # type: ignore[misc]
        if not whole and not added:
            yield from _outermost(child)
        elif isinstance(child, ast.JoinedStr):
            for part in child.values:
                if isinstance(part, ast.FormattedValue) and not isinstance(part.value, ast.IfExp | ast.JoinedStr):
                    yield from _outermost(part)


def _documentation(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield id(node.value)


def _unshown(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            names = ast.unparse(node.func).split(".")
            quiet = names[0] in _LOGGING or names[-1] in _UNSHOWN_CALLS or "_LOG" in names
            for argument in node.args if quiet else ():
                yield from (id(one) for one in ast.walk(argument))
            for keyword in node.keywords:
                if quiet or keyword.arg in _UNSHOWN_KEYWORDS:
                    yield from (id(one) for one in ast.walk(keyword.value))


def _raised(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call):
            continue
        if isinstance(node, ast.Raise) or ast.unparse(call.func).rpartition(".")[2] in _SHOWN_CALLS:
            for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
                yield from (id(one) for one in ast.walk(argument))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
