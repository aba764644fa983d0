"""The place in the top bar that says who is here: their limits, Log out, and for the owner what lets others in."""

from __future__ import annotations

from modules.web.ui.icons import svg


def place() -> str:
    """The button and what opens under it; `static/access.js` fills it from `/api/v1/access`."""
    return (
        '<button type="button" class="tool wide who" data-action="who" aria-haspopup="dialog" '
        f'aria-controls="who-menu" hidden>{svg("person")}<span data-who-name></span></button>'
        '<div class="menu who-menu" id="who-menu" popover autofocus tabindex="-1" data-who-menu role="dialog" '
        'aria-label="People">'
        '<p data-who-line></p><ul class="who-limits" data-who-limits></ul>'
        '<section data-share hidden><h2 data-share-title></h2><p class="menu-note" data-share-note></p>'
        '<img class="share-code" data-share-code alt="QR code of the first address" hidden>'
        '<ul class="share-list" data-share-list></ul>'
        '<p class="menu-note" data-share-state role="status"></p>'
        '<button type="button" class="second small" data-action="new-link" hidden>Make a new link</button></section>'
        '<button type="button" class="second small" data-action="log-out" hidden>Log out</button></div>'
    )
