"""The place in the top bar where the page's language is chosen."""

from __future__ import annotations

from modules.web.ui.icons import svg


def place() -> str:
    """A list that `static/language.js` fills with the languages there are, each by its own name."""
    return (
        f'<span class="language">{svg("language")}<select data-language aria-label="Language" title="Language" '
        'autocomplete="off"><option value="browser">As the browser</option></select></span>'
    )
