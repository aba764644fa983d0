"""Bringing an extension's files in: each is a module of a package of its own, so that they can import one another."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from modules.extensions.found import Found

_ROOT = "webui_extension"


def package_of(found: Found) -> str:
    """The package's name; one folder is one package, whatever it is called."""
    if found.package:
        return found.package
    digits = hashlib.sha256(str(found.folder.resolve()).encode()).hexdigest()[:8]
    return f"{_ROOT}_{digits}_{''.join(c if c.isalnum() else '_' for c in found.name)}"


def load_file(found: Found, file: str) -> ModuleType:
    """The module of one of its files, anew; raises whatever the file raises."""
    package = package_of(found)
    if package not in sys.modules:
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(found.folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.{file.removesuffix('.py')}")


def forget(found: Found) -> None:
    """Leave nothing of its modules behind, so that it can be loaded again."""
    package = package_of(found)
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
