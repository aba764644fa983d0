"""Line icons of 24 units in the text's colour."""

from __future__ import annotations

_ICONS: dict[str, str] = {
    "refresh": '<path d="M20 11a8 8 0 1 0-.7 4.5M20 4v7h-7"/>',
    "swap": '<path d="M7 4 3 8l4 4M3 8h14M17 20l4-4-4-4M21 16H7"/>',
    "dice": '<rect x="4" y="4" width="16" height="16" rx="3"/><path d="M9 9h0M15 9h0M12 12h0M9 15h0M15 15h0"/>',
    "recycle": '<path d="M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5M12 7v5l3 2"/>',
    "paste": '<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>',
    "clear": '<path d="m6 6 12 12M18 6 6 18"/>',
    "theme": '<path d="M12 4a8 8 0 1 0 0 16z" fill="currentColor"/><circle cx="12" cy="12" r="8"/>',
    "save": '<path d="M12 4v11M7 10l5 5 5-5M5 20h14"/>',
    "copy": '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h9"/>',
    "folder": '<path d="M3 18V6a1 1 0 0 1 1-1h5l2 2h9a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z"/>',
    "send": '<path d="M5 12h13M13 6l6 6-6 6"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 8h.01"/>',
    "styles": '<path d="M4 7h10M4 12h16M4 17h7"/><path d="m17 14 1 2.2 2.4.3-1.8 1.6.5 2.4-2.1-1.2-2.1 1.2.5-2.4'
    '-1.8-1.6 2.4-.3z"/>',
    "cards": '<rect x="4" y="4" width="7" height="9" rx="1.5"/><rect x="13" y="4" width="7" height="9" rx="1.5"/>'
    '<path d="M4 17h7M13 17h7M4 20h4M13 20h4"/>',
    "trash": '<path d="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "pencil": '<path d="m5 19 1-4L16 5l3 3L9 18z"/>',
    "forever": '<path d="M12 12c2-3 3-4 5-4a4 4 0 0 1 0 8c-2 0-3-1-5-4s-3-4-5-4a4 4 0 0 0 0 8c2 0 3-1 5-4z"/>',
    "play": '<path d="M8 5v14l11-7z"/>',
    "minus": '<path d="M5 12h14"/>',
    "enlarge": '<path d="M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7"/>',
    "invert": '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/>',
    "undo": '<path d="M4 9h10a6 6 0 0 1 0 12h-3M8 5 4 9l4 4"/>',
    "redo": '<path d="M20 9H10a6 6 0 0 0 0 12h3M16 5l4 4-4 4"/>',
    "brush": '<path d="M14 10 20 4M9 12c2-2 5 1 3 3s-4 5-8 5c2-1 1.5-3 2-5s1.5-2 3-3z"/>',
    "eraser": '<path d="m8 20-4-4a2 2 0 0 1 0-3l8-8a2 2 0 0 1 3 0l4 4a2 2 0 0 1 0 3l-8 8zM8 9l7 7M8 20h12"/>',
    "hand": '<path d="M8 12V6a1.5 1.5 0 0 1 3 0v5-7a1.5 1.5 0 0 1 3 0v7-5a1.5 1.5 0 0 1 3 0v8c0 4-2 7-6 7-3 0'
    '-4-2-6-6-1-2 1-3 2-2z"/>',
    "fill": '<path d="m5 12 7-7 7 7-7 7zM5 12h14M20 17c1 1.5 1.5 2 0 3.500-1.5-1.5-1-2 0-3.500z"/>',
    "fit": '<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>',
    "picture": '<rect x="4" y="5" width="16" height="14" rx="2"/><circle cx="9" cy="10" r="1.5"/>'
    '<path d="m4 17 5-4 4 3 3-2 4 3"/>',
    "hires": '<path d="M4 14v6h6M20 10V4h-6M4 20l7-7M20 4l-7 7"/>',
    "measure": '<path d="M4 8h16v8H4zM8 8v3M12 8v4M16 8v3"/>',
    "search": '<circle cx="11" cy="11" r="6"/><path d="m20 20-4.5-4.5"/>',
    "left": '<path d="m14 6-6 6 6 6"/>',
    "right": '<path d="m10 6 6 6-6 6"/>',
    "star": '<path d="m12 4 2.4 5 5.6.8-4 3.9 1 5.5-5-2.7-5 2.7 1-5.5-4-3.9 5.6-.8z"/>',
    "language": '<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18"/>',
    "person": '<circle cx="12" cy="8" r="4"/><path d="M4 20c1-4 4-6 8-6s7 2 8 6"/>',
    "queue": '<path d="M4 6h16M4 12h16M4 18h9"/>',
    "up": '<path d="m6 14 6-6 6 6"/>',
    "down": '<path d="m6 10 6 6 6-6"/>',
    "pause": '<path d="M9 5v14M15 5v14"/>',
    "help": '<circle cx="12" cy="12" r="9"/><path d="M9.5 9.5a2.5 2.5 0 1 1 3.700 2.200c-.8.500-1.200 1-1.200 1.800'
    'M12 16.500h.01"/>',
    "reset": '<path d="M4 11a8 8 0 1 1 .7 4.5M4 4v7h7"/>',
}


def svg(icon: str) -> str:
    """The icon of that name, hidden from screen readers."""
    return (
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{_ICONS[icon]}</svg>'
    )
