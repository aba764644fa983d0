"""Captions from file names and files (the vectors are A1111's), and tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.datasets import tags
from modules.catalog.datasets.captions import caption_from_name, decode_text, read_caption, write_caption
from modules.catalog.datasets.templates import SHIPPED, make_templates, read_templates


@pytest.mark.parametrize(
    ("name", "regex", "caption"),
    [
        ("00003-0-red fox.png", "", "red fox"),
        ("12 red_fox, snow.jpg", "", "red_fox, snow"),
        ("3d render.png", "", "d render"),
        ("2024.png", "", ""),
        ("0001-a_red-fox (2).png", r"\w+", "a_red fox 2"),
        ("a.b.c.png", "", "a.b.c"),
        ("-  dash.png", "", "dash"),
        ("קיץ.png", "", "קיץ"),
    ],
)
def test_names(name: str, regex: str, caption: str) -> None:
    assert caption_from_name(name, regex) == caption


def test_join_string() -> None:
    assert caption_from_name("1 red-fox snow.png", r"[a-z]+", ", ") == "red, fox, snow"


def test_a_file_wins_over_the_name_even_when_empty(tmp_path: Path) -> None:
    picture = tmp_path / "a fox.png"
    assert read_caption(picture, has_file=False) == ("a fox", "name")
    write_caption(picture, "  a red fox\n")
    assert read_caption(picture, has_file=True) == ("a red fox", "txt")
    write_caption(picture, "")
    assert read_caption(picture, has_file=True) == ("", "txt")
    write_caption(picture, None)
    assert list(tmp_path.iterdir()) == []
    assert read_caption(tmp_path / "12.png", has_file=False) == ("", "none")


@pytest.mark.parametrize(
    "data", ["été".encode(), "\ufeffété".encode(), "été".encode("utf-16"), "été".encode("cp1252"), b"\xe9t\xe9\n"]
)
def test_encodings(data: bytes) -> None:
    assert decode_text(data) == "été"


CAPTIONS = {"a": "fox, snow, Red", "b": "fox", "c": ""}


@pytest.mark.parametrize(
    ("action", "find", "text", "changed"),
    [
        ("replace", "fox", "cat", {"a": "cat, snow, Red", "b": "cat"}),
        ("replace", "", "cat", {}),
        ("add", "", "red", {"b": "fox, red", "c": "red"}),
        ("add", "", "x, fox", {"a": "fox, snow, Red, x", "b": "fox, x", "c": "x, fox"}),
        ("prepend", "", "art", {"a": "art, fox, snow, Red", "b": "art, fox", "c": "art"}),
        ("remove", "RED", "", {"a": "fox, snow"}),
        ("remove", "", "fox", {"a": "snow, Red", "b": ""}),
        ("remove", "sno", "", {}),
    ],
)
def test_edits(action: tags.Action, find: str, text: str, changed: dict[str, str]) -> None:
    assert tags.edited(CAPTIONS, action, find, text) == changed


def test_counts() -> None:
    assert tags.count(["fox, snow", "fox,fox , ,", "Snow"]) == [("fox", 2), ("Snow", 1), ("snow", 1)]


def test_templates(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    make_templates(folder)
    assert read_templates(folder) == SHIPPED
    (folder / "style.txt").unlink()
    make_templates(folder)
    assert "style.txt" not in read_templates(folder)


def test_shipped_templates_name_the_word() -> None:
    for name, lines in SHIPPED.items():
        assert all("[name]" in line for line in lines) is (name != "none.txt")
        assert all("[filewords]" in line for line in lines) is name.endswith("_filewords.txt")
