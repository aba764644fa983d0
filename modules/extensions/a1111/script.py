"""A1111's `Script`: the class that its extensions make theirs from, and what its hooks are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from modules.schema.errors import BadRequest


class _Always:
    """What `show` returns for a script that is always on."""

    def __repr__(self) -> str:
        return "AlwaysVisible"


AlwaysVisible = _Always()

CALLED = ("setup", "before_process", "process", "before_process_batch", "process_batch", "postprocess_image",
          "postprocess", "run")  # fmt: skip
NOT_CALLED = (
    *("after_extra_networks_activate", "process_before_every_sampling", "before_hr", "on_mask_blend", "post_sample"),
    *("postprocess_batch", "postprocess_batch_list", "postprocess_maskoverlay", "postprocess_image_after_composite"),
    *("before_component", "after_component"),
)
"""Hooks of A1111 that have nothing to be called with here: tensors of a model, or widgets of its page."""


@dataclass
class PostprocessImageArgs:
    """A finished picture; the script may put another into `image`."""

    image: Image.Image
    index: int = 0


class Script:
    """A script of A1111's manner: subclasses say what they are called, where they are shown and what they do."""

    name: str | None = None
    section: str | None = None
    filename: str = ""
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname = ""
    sorting_priority = 0
    setup_for_ui_only = False
    infotext_fields: Any = None
    paste_field_names: Any = None

    def title(self) -> str:
        """What it is called; every script says so itself."""
        raise BadRequest(f"the script {type(self).__name__} has no title()")

    def show(self, is_img2img: bool) -> Any:
        """False: not there; True: in the menu; AlwaysVisible: always on."""
        del is_img2img
        return True

    def ui(self, is_img2img: bool) -> Any:
        """Gradio components, whose values are the arguments of all other methods."""
        del is_img2img
        return []

    def elem_id(self, item_id: str) -> str:
        """The id of one of its elements, as A1111 makes them."""
        tab = "img2img" if self.is_img2img else "txt2img"
        title = "".join(c if c.isalnum() else "_" for c in self.title().lower())
        return f"script_{tab}_{title}_{item_id}"

    def describe(self) -> str:
        return ""

    @property
    def folder(self) -> Path:
        """Where its file is."""
        return Path(self.filename).parent
