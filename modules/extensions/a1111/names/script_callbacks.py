"""A1111's modules.script_callbacks: what is called here is kept, the rest is noted as never called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules.extensions.a1111.callbacks import AppStarted, ImageSaveParams, registrar, unheard

__all__ = ["AppStarted", "ImageSaveParams"]

on_app_started = registrar("app_started")
on_before_ui = registrar("before_ui")
on_ui_tabs = registrar("ui_tabs")
on_ui_settings = registrar("ui_settings")
on_image_saved = registrar("image_saved")
on_script_unloaded = registrar("script_unloaded")


def __getattr__(name: str) -> Callable[..., Any]:
    if not name.startswith("on_"):
        raise AttributeError(f"modules.script_callbacks has no {name} in this program")
    return unheard(name)
