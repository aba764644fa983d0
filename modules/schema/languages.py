"""The languages of the page: English, which the sources are in, and one for each file in `locales/`."""

from __future__ import annotations

from pathlib import Path

LOCALES = Path(__file__).resolve().parents[2] / "locales"
ENGLISH = "en"
BROWSER = "browser"
"""The choice of who leaves it to the browser."""

LANGUAGES: tuple[str, ...] = (ENGLISH, *sorted({path.stem for path in LOCALES.glob("*.json")} - {ENGLISH}))
"""Their tags (BCP 47)."""


def language_choices() -> tuple[str, ...]:
    return (BROWSER, *LANGUAGES)


def checked_language(value: str) -> str:
    """A choice that there is; raises ValueError."""
    if value not in language_choices():
        raise ValueError(f"one of {', '.join(language_choices())}")
    return value
