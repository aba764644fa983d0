"""Where pictures to work on come from: dropped, chosen, pasted, a folder of this computer. See `static/source.js`."""

from __future__ import annotations

from modules.web.ui.form import button
from modules.web.ui.icons import svg


def source(form: str, name: str = "source", words: str = "Drop pictures here, or paste one") -> str:
    """An area for one or many pictures of the tab `form`; `name` tells several of a tab apart."""
    choosers = _chooser(f"{form}-{name}-files", "Choose pictures", "picture", 'multiple accept="image/*"')
    choosers += _chooser(f"{form}-{name}-folder", "Choose a folder", "folder", "webkitdirectory")
    return (
        f'<div class="source" data-source="{name}" data-state="empty" data-call="{words}">'
        '<div class="source-pictures" data-source-pictures></div>'
        '<div class="source-call">'
        f'<span class="source-words" data-source-words role="status">{words}</span>'
        f'<span class="source-tools">{choosers}'
        f"{button('clear-source', 'Take these away', 'clear', text=True)}</span></div></div>"
    )


def _chooser(name: str, words: str, icon: str, attributes: str) -> str:
    """A file input that looks like the other buttons."""
    return (
        f'<label class="tool wide chooser">{svg(icon)}<span>{words}</span>'
        f'<input type="file" id="{name}" data-choose {attributes} aria-label="{words}"></label>'
    )
