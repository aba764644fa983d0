"""Which of a pickle's imports a model file has a reason for; any other is there to be run by who opens the file."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Whole names, "module.name": tensors and their storages, numbers, tables, and what common trainers leave behind.
_USUAL = re.compile(
    r"""torch\.(\w+Storage | Size | device | Tensor | b?float\w* | u?int\d+ | bool | half | double | long | short
                | complex\d+ | serialization\._get_layout)
    | torch\._utils\._rebuild\w+ | torch\._tensor\.\w+ | torch\.storage\.\w+ | torch\.nn\.modules\.[\w.]+
    | torch\.nn\.parameter\.\w+ | torch\.optim\.[\w.]+
    | numpy\.(dtype | ndarray | bool_? | float\d+ | int\d+) | numpy\._?core\.(multiarray | numeric)\.\w+
    | collections\.(OrderedDict | defaultdict | Counter | deque)
    | (pytorch_lightning | lightning | lightning_fabric | omegaconf)\.[\w.]+
    | (builtins | __builtin__)\.(bool | bytearray | bytes | complex | dict | float | frozenset | int | list | long
                                 | object | range | set | slice | str | tuple | unicode)
    | _codecs\.encode | copyreg\._reconstructor | copy_reg\._reconstructor | argparse\.Namespace
    | typing\.(Any | Dict | List | Tuple | Union | Optional) | pathlib\.(_local\.)?(Posix | Windows | Pure\w*)?Path
    """,
    re.VERBOSE,
)


def odd_call(calls: Iterable[str]) -> str | None:
    """The first import, as "module.name", that no model file needs; None where there is none."""
    return next((call for call in sorted(calls) if not _USUAL.fullmatch(call)), None)
