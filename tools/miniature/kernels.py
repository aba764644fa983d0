"""The C functions of `kernels.c`, compiled on first use: what torch's CPU kernels are slow at in training.

Without a compiler, on other processors or with MINIATURE_KERNELS=off, `load()` gives None and torch's own operators
are used instead; results agree to bf16's rounding.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from torch import Tensor

SOURCE = Path(__file__).with_name("kernels.c")
# The longest rows and most channels that the functions have room for.
MOST_CHANNELS, LONGEST_ROW = 1024, 4096
# All of -ffast-math but what it does at loading: it would have the whole process take the smallest numbers for zero.
_FAST = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math",
         "-ffinite-math-only")  # fmt: skip
_FLAGS = ("-O3", "-march=native", *_FAST, "-mprefer-vector-width=512", "-fopenmp", "-shared", "-fPIC")


@cache
def load() -> ctypes.CDLL | None:
    """The compiled functions, or None."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if os.environ.get("MINIATURE_KERNELS") == "off" or compiler is None or os.name != "posix":
        return None
    source = SOURCE.read_bytes()
    name = hashlib.sha256(source + " ".join((compiler, platform.node(), *_FLAGS)).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"miniature-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        return None
    library = folder / f"{name}.so"
    if not library.exists():
        part = folder / f"{name}.{os.getpid()}.part"
        command = [compiler, *_FLAGS, str(SOURCE), "-lm", "-o", str(part)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        os.replace(part, library)
    return ctypes.CDLL(str(library))


def call(name: str, *arguments: Tensor | int | float | None) -> None:
    """Run one of the functions; tensors are passed by address and must be contiguous in memory."""
    library = load()
    if library is None:
        raise RuntimeError("the compiled functions are not there")
    getattr(library, name)(*map(_as_c, arguments))


def _as_c(value: Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_long | ctypes.c_float:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if value is None:
        return ctypes.c_void_p(None)
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_long(value)
