"""A1111's modules.ui_components over Gradio's own; loaded only where a script asks for it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import gradio as gr

__all__ = ["FormColumn", "FormGroup", "FormRow", "InputAccordion", "ToolButton"]

FormRow = gr.Row
FormColumn = gr.Column
FormGroup = gr.Group
ToolButton = gr.Button


class InputAccordion(gr.Checkbox):
    """A checkbox that holds what it switches on."""

    def __init__(self, value: bool = False, **options: Any) -> None:
        known = {name: options[name] for name in ("label", "elem_id", "visible") if name in options}
        super().__init__(value=value, **known)
        self._group = gr.Group()

    def __enter__(self) -> InputAccordion:
        self._group.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.__exit__(kind, error, trace)
