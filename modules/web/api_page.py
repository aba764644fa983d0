"""The list of routes in docs/api.md, made from the routes themselves: `python -m modules.web.api_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from modules.web.server import add_routes

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
MARK = "<!-- routes -->"
_A1111 = ("/sdapi/", "/internal/", "/sd_extra_networks/")


def routes() -> dict[tuple[str, str], str]:
    """(method, path) of every route of the API, and what it does in a sentence."""
    server = FastAPI()
    add_routes(server)
    paths: dict[str, Any] = server.openapi()["paths"]
    return {
        (method.upper(), path): _sentence(facts)
        for path, methods in paths.items()
        for method, facts in methods.items()
    }


def page(old: str) -> str:
    """The page with its list made anew; what is above the mark stays."""
    return f"{old.partition(MARK)[0]}{MARK}\n\n" + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    found = routes()
    own = {route: text for route, text in found.items() if not route[1].startswith(_A1111)}
    for title, part in (("Our own", own), ("A1111's", {r: t for r, t in found.items() if r not in own})):
        yield from ("", f"### {title}", "", "| Route | What it does |", "|---|---|")
        for (method, path), text in sorted(part.items(), key=lambda item: (item[0][1], item[0][0])):
            yield f"| `{method} {path}` | {text} |"


def _sentence(facts: dict[str, Any]) -> str:
    """The first paragraph of a route's description, else its name."""
    first = str(facts.get("description") or facts["summary"]).partition("\n\n")[0]
    return " ".join(first.split()).replace("|", "\\|")


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
