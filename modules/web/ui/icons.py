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
    "styles": '<path d="M4 7h10M4 12h16M4 17h7"/><path d="m17 14 1 2.2 2.4.3-1.8 1.6.5 2.4-2.1-1.2-2.1 1.2.5-2.4-1.8-1.6 '
    '2.4-.3z"/>',
    "cards": '<rect x="4" y="4" width="7" height="9" rx="1.5"/><rect x="13" y="4" width="7" height="9" rx="1.5"/>'
    '<path d="M4 17h7M13 17h7M4 20h4M13 20h4"/>',
    "trash": '<path d="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "pencil": '<path d="m5 19 1-4L16 5l3 3L9 18z"/>',
    "play": '<path d="M8 5v14l11-7z"/>',
    "reset": '<path d="M4 11a8 8 0 1 1 .7 4.5M4 4v7h7"/>',
}


def svg(icon: str) -> str:
    """The icon of that name, hidden from screen readers."""
    return (
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{_ICONS[icon]}</svg>'
    )
