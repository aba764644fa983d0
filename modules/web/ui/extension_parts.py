"""What extensions add to the page: their options in the forms, their tabs, their scripts and styles."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gradio as gr

from modules.extensions.found import Found
from modules.extensions.problems import short
from modules.schema.extension_options import EXTENSIONS
from modules.web.ui.form import fields, part_section
from modules.web.ui.heading import heading

FILES_ROUTE = "/static/extensions"


class PageExtensions(Protocol):
    """What the page needs of `modules.service.extensions.Extensions`."""

    @property
    def active(self) -> Sequence[Found]: ...
    @property
    def tabs(self) -> list[tuple[str, str, Callable[[], None]]]: ...
    @property
    def host(self) -> Any: ...
    @property
    def a1111(self) -> Any: ...


def option_sections(form: str) -> str:
    """An accordion with a switch for each extension that has options."""
    return "".join(_section(facts.name, form) for facts in EXTENSIONS if form in facts.tabs)


def _section(name: str, form: str) -> str:
    facts = EXTENSIONS.get(name)
    part = f"extensions.{facts.name}"
    visible = [knob for knob in facts.knobs.values() if not knob.hidden]
    about = f'<p class="hint">{html.escape(facts.help)}</p>' if facts.help else ""
    body = f'{about}<div class="grid">{fields(visible, form=form, part=part, help_line=True)}</div>'
    return part_section(part, facts.label, form=form, body=body)


def add_tabs(extensions: PageExtensions | None) -> None:
    """A tab for each that extensions register; one that cannot be built says so in its place."""
    for name, title, build in extensions.tabs if extensions is not None else ():
        with gr.Tab(title, elem_id=f"tab-{name.lower()}-{title.lower().replace(' ', '')}"):
            heading(title)
            try:
                build()
            except Exception as error:  # noqa: BLE001 - an extension's fault must not keep the page from being built
                assert extensions is not None
                problem = extensions.host.problems.report(
                    name, f"Its tab {title} cannot be built ({short(error)}).", error
                )
                gr.HTML(f'<p class="hint" role="alert">{html.escape(problem.sentence)}</p>', apply_default_css=False)


def head(extensions: PageExtensions | None) -> str:
    """Styles and scripts, each a tag of its own: what fails in one does not stop the next."""
    if extensions is None:
        return ""
    active = list(extensions.active)
    tags = [tag for one in active for tag in _tags(one)]
    in_a1111s_manner = any(one.files("javascript", ".js") for one in active)
    helpers = '<script src="/static/webui/a1111.js"></script>' if in_a1111s_manner else ""
    return helpers + "".join(tags)


def _tags(found: Found) -> list[str]:
    place = f"{FILES_ROUTE}/{found.name}"
    tags = [f'<link rel="stylesheet" href="{place}/style.css">'] if found.has("style.css") else []
    for file in found.files("javascript", ".js", ".mjs"):
        kind = 'type="module"' if file.endswith(".mjs") else "defer"
        tags.append(f'<script {kind} src="{place}/javascript/{html.escape(file)}"></script>')
    return tags
