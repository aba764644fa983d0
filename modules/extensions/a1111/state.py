"""What stands in for A1111's shared state: its options as far as extensions add them, and what a load registers."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.schema.errors import BadRequest


class OptionInfo:
    """A setting as A1111's extensions declare it."""

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Callable[[], None] | None = None,
        section: tuple[str, str] | None = None,
        refresh: Any = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        category_id: str | None = None,
        **_more: Any,
    ) -> None:
        self.default, self.label, self.component, self.onchange = default, label, component, onchange
        self.component_args = component_args
        self.section = section
        self.comment = f"{comment_before} {comment_after}".strip()

    def info(self, text: str) -> OptionInfo:
        """Words beside it."""
        self.comment = f"{self.comment} {text}".strip()
        return self

    link = html = js = lambda self, *_arguments: self

    def needs_restart(self) -> OptionInfo:
        return self.info("(after a restart)")

    needs_reload_ui = needs_restart

    @property
    def choices(self) -> list[str] | None:
        """The values to choose from, where it names them."""
        arguments = self.component_args() if callable(self.component_args) else self.component_args
        found = arguments.get("choices") if isinstance(arguments, dict) else None
        found = found() if callable(found) else found
        return [str(choice) for choice in found] if found else None

    @property
    def kind(self) -> str:
        return type(self.default).__name__ if isinstance(self.default, bool | int | float) else "str"


@dataclass
class Loaded:
    """What an extension has registered while it was loaded."""

    folder: Path
    callbacks: dict[str, list[Callable[..., Any]]] = field(default_factory=dict)
    not_called: set[str] = field(default_factory=set)
    options: dict[str, OptionInfo] = field(default_factory=dict)


LOADING: ContextVar[Loaded | None] = ContextVar("loading", default=None)


def loading() -> Loaded:
    """The extension that is being loaded; an empty one where none is."""
    return LOADING.get() or Loaded(Path())


class Opts:
    """A1111's `opts`: the settings that extensions have added. Others are not there (`getattr` with a default)."""

    def __init__(self) -> None:
        vars(self)["data_labels"] = {}
        vars(self)["data"] = {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Declare a setting; one that has a value keeps it."""
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)
        loading().options[key] = info

    def __getattr__(self, name: str) -> Any:
        data = vars(self)["data"]
        if name in data:
            return data[name]
        raise AttributeError(f"shared.opts.{name} is a setting of A1111 that is not in this program")

    def __setattr__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def set(self, key: str, value: Any) -> None:
        """Change a setting; raises BadRequest for one that nobody has added, or a value of another kind."""
        info: OptionInfo | None = self.data_labels.get(key)
        if info is None:
            raise BadRequest(f"There is no setting named {key!r}.", key)
        fits = isinstance(value, type(info.default)) or info.default is None
        if isinstance(info.default, float) and isinstance(value, int) and not isinstance(value, bool):
            fits = True
        if not fits or (isinstance(info.default, int) and isinstance(value, bool) and info.kind != "bool"):
            raise BadRequest(f"{info.label or key} cannot be {value!r}: {info.kind} is wanted.", key)
        self.data[key] = value
        if info.onchange is not None:
            info.onchange()

    def get_default(self, key: str) -> Any:
        return self.data_labels[key].default if key in self.data_labels else None


class State:
    """A1111's `state`; jobs here are interrupted by nobody asking for the next step, so nothing of it changes."""

    interrupted = skipped = stopping_generation = server_start = False
    job = textinfo = ""
    job_no = job_count = sampling_step = sampling_steps = 0

    def begin(self, job: str = "(unknown)") -> None:
        self.job = job

    def end(self) -> None:
        self.job = ""

    def nextjob(self) -> None:
        self.job_no += 1


OPTS = Opts()
STATE = State()
