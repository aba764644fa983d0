"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.writing import replacing, write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        write_whole(tmp_path / "a.txt", data)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": data}


@pytest.mark.parametrize("draft", [None, "a.txt.part"])
def test_a_failure_in_the_middle_keeps_the_old_file_and_leaves_no_draft(tmp_path: Path, draft: str | None) -> None:
    write_whole(tmp_path / "a.txt", b"old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt", draft and tmp_path / draft) as path:
        path.write_bytes(b"half")
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": b"old"}


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a.txt", b"x")
