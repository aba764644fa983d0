"""The queue: whose turn it is, one's own jobs, and what one drew last. One panel for all tabs, behind the top bar."""

from __future__ import annotations

import gradio as gr

from modules.web.ui.form import button
from modules.web.ui.icons import svg

_RULE = "Turns go round: whoever drew least lately comes first, however much the others have sent."


def build() -> None:
    """Add the panel to the Blocks being built; `static/queue.js` opens and fills it."""
    gr.HTML(_markup(), elem_id="queue", apply_default_css=False)


def opener() -> str:
    """The button of the top bar; its words say where one's own job is."""
    return (
        '<button type="button" class="queue-open" data-action="queue" aria-label="Queue" aria-expanded="false" '
        f'aria-haspopup="dialog" title="Queue and history">{svg("queue")}'
        '<span class="queue-words" data-queue-words>Queue</span>'
        '<span class="queue-short" data-queue-short aria-hidden="true"></span></button>'
    )


def _markup() -> str:
    return (
        '<div class="drawer queue" data-panel="queue" role="dialog" aria-labelledby="queue-title" tabindex="-1" '
        'hidden><header class="drawer-head"><h2 id="queue-title">Queue</h2>'
        f"{_pause()}{button('close-queue', 'Close', 'clear')}</header>"
        '<p class="queue-paused" data-queue-paused role="status" hidden></p>'
        '<p class="problem" data-queue-problem role="alert" hidden></p>'
        f'<div class="queue-room"><p class="queue-summary" data-queue-summary title="{_RULE}"></p>'
        '<ol class="queue-list" data-queue-list aria-label="Jobs in line"></ol>'
        '<p class="queue-more" data-queue-more hidden></p>'
        "<section data-queue-history hidden><h3>Recent</h3>"
        '<ul class="queue-list" data-queue-recent aria-label="Your recent jobs"></ul></section></div>'
        '<p class="unseen" data-queue-said role="status" aria-live="polite"></p></div>'
    )


def _pause() -> str:
    """For the machine's owner."""
    return (
        f'<button type="button" class="tool wide" data-action="pause-queue" hidden>{svg("pause")}{svg("play")}'
        "<span>Pause</span></button>"
    )
