"""The Settings tab: every setting with its default beside it. `static/settings.js` draws what the server says.

The settings are not in the markup: whose page it is decides which there are, and the same page is served to all.
"""

from __future__ import annotations

import gradio as gr

from modules.web.ui.icons import svg


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    return (
        '<section class="settings" data-panel="settings" aria-label="Settings">'
        f'<div class="settings-bar"><span class="find">{svg("search")}'
        '<input type="search" class="search" data-settings-search placeholder="Find a setting" '
        'aria-label="Find a setting" autocomplete="off"></span>'
        '<label class="settings-only"><input type="checkbox" data-settings-changed autocomplete="off">'
        "<span>Changed ones</span></label>"
        '<span class="settings-files">'
        f'<a class="tool wide" data-action="export-settings" download="webui-settings.json" '
        f'title="What you have changed, as a file">{svg("save")}<span>Export</span></a>'
        '<button type="button" class="tool wide" data-action="import-settings" title="A file that was exported here, '
        f'or config.json or ui-config.json of AUTOMATIC1111">{svg("folder")}<span>Import</span></button>'
        '<input type="file" accept=".json,application/json" data-settings-file hidden>'
        f'<button type="button" class="tool wide" data-action="restore-settings">{svg("reset")}'
        "<span>Restore all</span></button></span></div>"
        '<p class="settings-said" data-settings-said role="status" hidden></p>'
        '<div class="settings-report" data-settings-report role="region" aria-label="What was imported" '
        'tabindex="-1" hidden></div>'
        '<div class="settings-body"><nav class="settings-nav" data-settings-nav aria-label="Sections"></nav>'
        '<div class="settings-list" data-settings-list></div></div></section>'
    )
