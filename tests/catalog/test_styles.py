"""styles.csv: read as A1111 writes it, written so that A1111 reads it, never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.catalog.styles import Style, StyleFile, apply_styles, find_styles
from modules.schema.errors import BadRequest, UnknownName, UserError

BOM = b"\xef\xbb\xbf"
THEIRS = BOM + (
    b"name,prompt,negative_prompt\r\n"
    b"# a divider,,\r\n"
    b'sharp,"sharp, ""4k""","blurry\r\nnoisy"\r\n'
    b'photo,"photo of {prompt}, 4k",\r\n'
)


@pytest.fixture
def styles(tmp_path: Path) -> StyleFile:
    return StyleFile(tmp_path / "styles.csv")


def test_a_file_of_a1111(styles: StyleFile) -> None:
    styles.path.write_bytes(THEIRS)
    assert styles.entries == [
        Style("sharp", 'sharp, "4k"', "blurry\r\nnoisy"),
        Style("photo", "photo of {prompt}, 4k"),
    ]


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (b"name,text\nold,a b\n", [Style("old", "a b")]),
        (b"name,prompt\nshort,x\n", [Style("short", "x")]),
        (b"name,prompt,negative_prompt\na,1,2,3,4\n,no name,\nb\n", [Style("a", "1", "2"), Style("b")]),
        (b"name,prompt,negative_prompt\na,1,\na,2,\n", [Style("a", "2")]),
        ("name,prompt\nmüde,schön\n".encode("cp1252"), [Style("müde", "schön")]),
        ("name,prompt\nmüde,schön\n".encode(), [Style("müde", "schön")]),
        (b"", []),
        (b"\x00\xff\xfe binary", []),
        (b"nonsense,header\n1,2\n", []),
    ],
)
def test_other_files(styles: StyleFile, data: bytes, entries: list[Style]) -> None:
    styles.path.write_bytes(data)
    assert styles.entries == entries


def test_a_missing_file_has_no_styles(styles: StyleFile) -> None:
    assert styles.entries == []


def test_what_is_saved_is_read_again(styles: StyleFile) -> None:
    made = [Style("a", "x, y", 'say "no"\nto this'), Style("b", "", "é"), Style("c d", "{prompt} [a:b:3]")]
    for style in made:
        styles.save(style)
    assert styles.entries == made
    assert StyleFile(styles.path).entries == made
    assert styles.path.read_bytes().startswith(BOM + b"name,prompt,negative_prompt")


def test_saving_replaces_in_place_and_keeps_comments_and_the_file_before(styles: StyleFile) -> None:
    styles.path.write_bytes(THEIRS)
    styles.save(Style("sharp", "new"))
    assert [entry.name for entry in styles.entries] == ["sharp", "photo"]
    assert styles.find("sharp").prompt == "new"
    assert b"# a divider" in styles.path.read_bytes()
    assert styles.path.with_name("styles.csv.bak").read_bytes() == THEIRS
    assert sorted(file.name for file in styles.path.parent.iterdir()) == ["styles.csv", "styles.csv.bak"]


def test_a_deleted_style_comes_back_to_its_place(styles: StyleFile) -> None:
    styles.path.write_bytes(THEIRS)
    before = styles.entries
    removed = styles.delete("sharp")
    assert [entry.name for entry in styles.entries] == ["photo"]
    styles.save(removed.style, at=removed.position)
    assert styles.entries == before


@pytest.mark.parametrize("name", ["", " ", "#x", " a", "a "])
def test_names_that_could_not_be_read_back_are_refused(styles: StyleFile, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        styles.save(Style(name, "x"))


def test_a_text_that_is_too_long_to_be_read_back_is_refused(styles: StyleFile) -> None:
    styles.save(Style("a", "x" * 100_000))
    assert len(styles.entries[0].prompt) == 100_000
    with pytest.raises(BadRequest, match="100000"):
        styles.save(Style("a", "x" * 100_001))


def test_unknown_names_are_told(styles: StyleFile) -> None:
    styles.save(Style("Cinematic", "x"))
    assert styles.find("cinematic").name == "Cinematic"
    with pytest.raises(UnknownName, match="Did you mean 'Cinematic'"):
        styles.find("cinematik")
    with pytest.raises(UnknownName):
        styles.delete("other")


def test_changes_by_another_program_are_seen(styles: StyleFile) -> None:
    styles.save(Style("a", "1"))
    styles.path.write_bytes(b"name,prompt,negative_prompt\nb,2,\n")
    os.utime(styles.path, ns=(1, 1))
    assert styles.entries == [Style("b", "2")]


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "styles.csv").mkdir()
    with pytest.raises(UserError, match=r"styles\.csv"):
        StyleFile(tmp_path / "styles.csv").save(Style("a"))


@pytest.mark.parametrize(
    ("prompt", "texts", "merged"),
    [
        ("fox", ["sharp", "photo of {prompt}, 4k"], "photo of fox, sharp, 4k"),
        ("fox", ["{prompt} and {prompt}"], "fox and fox"),
        ("", ["sharp"], "sharp"),
        ("fox", [""], "fox"),
        ("fox", [], "fox"),
        (" fox ", [" sharp "], "fox, sharp"),
        ("fox # mine", ["sharp # theirs", "4k"], "fox, sharp, 4k"),
    ],
)
def test_merging(prompt: str, texts: list[str], merged: str) -> None:
    assert apply_styles(prompt, texts) == merged


SAVED = [
    Style("photo", "photo of {prompt}, 4k", "blurry"),
    Style("sharp", "sharp"),
    Style("clean", "", "dirt, dust"),
    Style("twice", "{prompt} and {prompt}"),
    Style("nothing", "", ""),
    Style("same", "{prompt}"),
]


@pytest.mark.parametrize(
    ("prompt", "negative", "expected"),
    [
        ("photo of fox, 4k, sharp", "blurry", (["photo", "sharp"], "fox", "")),
        ("photo of fox, sharp, 4k", "blurry", (["sharp", "photo"], "fox", "")),
        ("fox, sharp", "hands, dirt, dust", (["sharp", "clean"], "fox", "hands")),
        ("sharp", "", (["sharp"], "", "")),
        ("photo of fox, 4k", "", ([], "photo of fox, 4k", "")),
        ("a dogsharp", "", ([], "a dogsharp", "")),
        ("photo of", "blurry", ([], "photo of", "blurry")),
        ("", "", ([], "", "")),
    ],
)
def test_styles_are_found_in_prompts(prompt: str, negative: str, expected: tuple[list[str], str, str]) -> None:
    found = find_styles(prompt, negative, SAVED)
    assert (sorted(found[0]), *found[1:]) == (sorted(expected[0]), *expected[1:])
    styles = {style.name: style for style in SAVED}
    assert apply_styles(found[1], [styles[name].prompt for name in found[0]]) == prompt
    assert apply_styles(found[2], [styles[name].negative_prompt for name in found[0]]) == negative
