"""A1111's modules.shared: settings that extensions add, an idle state, plain flags. No models."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from modules.extensions.a1111.state import OPTS, STATE, OptionInfo

__all__ = ["OptionInfo", "cmd_opts", "options_section", "opts", "state"]

opts = OPTS
state = STATE
cmd_opts = Namespace(listen=False, share=False, api=True, nowebui=False, lowvram=False, medvram=False,
                     disable_extension_access=False, hide_ui_dir_config=False)  # fmt: skip


def options_section(section: tuple[str, ...], options: dict[str, OptionInfo]) -> dict[str, OptionInfo]:
    """Put settings into a section."""
    for info in options.values():
        info.section = section[:2]
    return options


def __getattr__(name: str) -> Any:
    raise AttributeError(f"modules.shared.{name} is a part of A1111's state that is not in this program")
