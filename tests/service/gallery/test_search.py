"""What is asked of the index: words, filters, owners, pages; and that indexes answer, not sorting."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.service.gallery.database import GalleryDatabase
from modules.service.gallery.index import Index
from modules.service.gallery.query import Wanted, day_bounds, full_text, select
from tests.service.gallery.pictures import ANN, BOB, Opened

NOON = datetime(2024, 5, 6, 12).timestamp()
DAY = 86400


@pytest.fixture
def filled(opened: Opened) -> Opened:
    save = opened.save
    save("txt2img-images/1.png", at=NOON, prompt="a red boat", negative_prompt="people", seed=1)
    save("txt2img-images/2.png", at=NOON + 1, prompt="a blue boathouse, café", model="paint XL", seed=2)
    save("img2img-images/3.png", at=NOON + DAY, prompt="(a red:1.2) fox <lora:old_ink:0.5>", seed=3)
    save("txt2img-grids/grid-0001.png", at=NOON + 2 * DAY, prompt="a red boat, a grid", seed=4)
    save("txt2img-images/5.png", BOB, at=NOON + 3 * DAY, prompt="bob's red boat", seed=5)
    return opened


def _seeds(opened: Opened, owners: tuple[str, ...] | None = (ANN,), **wanted: object) -> str:
    return "".join(picture.seed for picture in opened.pictures(owners, **wanted))


@pytest.mark.parametrize(
    ("search", "seeds"),
    [
        ("", "4321"),
        ("red", "431"),
        ("RED boat", "41"),
        ("boat", "421"),  # the beginning of boathouse
        ('"red boat"', "41"),
        ('"boat red"', ""),
        ("cafe", "2"),
        ("people", "1"),
        ("old_ink", "3"),
        ("paint", "2"),
        ("Steps: 20", "4321"),
        ("++ -- *", "4321"),  # no word in it
        ("red AND boat", ""),  # a word like any other
        ("prompt:red", ""),
        ("NOT red", ""),
        ("zebra", ""),
    ],
)
def test_words(filled: Opened, search: str, seeds: str) -> None:
    assert _seeds(filled, search=search) == seeds


@pytest.mark.parametrize(
    ("wanted", "seeds"),
    [
        ({"kind": "img2img"}, "3"),
        ({"kind": "grids"}, "4"),
        ({"kind": "extras"}, ""),
        ({"model": "paint XL"}, "2"),
        ({"day": date(2024, 5, 6)}, "21"),
        ({"day": date(2024, 5, 6), "search": "red"}, "1"),
        ({"day": date(2024, 5, 5)}, ""),
        ({"kind": "txt2img", "model": "art", "search": "boat"}, "1"),
        ({"owners": (BOB,)}, "5"),
        ({"owners": (ANN, BOB)}, "54321"),
        ({"owners": (ANN, BOB), "search": "red"}, "5431"),
        ({"owners": None}, "54321"),
        ({"owners": None, "search": "bob"}, "5"),
        ({"owners": ("nobody",)}, ""),
    ],
)
def test_filters(filled: Opened, wanted: dict[str, object], seeds: str) -> None:
    assert _seeds(filled, **wanted) == seeds


@pytest.mark.parametrize("wanted", [{}, {"search": "a"}, {"owners": None}, {"day": date(2024, 5, 6)}])
def test_pages_join_without_a_gap(filled: Opened, wanted: dict[str, object]) -> None:
    asked = Wanted(**{"owners": (ANN, BOB), **wanted})
    whole = [picture.id for picture in filled.index.page(asked, limit=100)]
    found: list[str] = []
    before = None
    while page := filled.index.page(asked, before=before, limit=2):
        found += [picture.id for picture in page]
        before = page[-1].number
    assert found == whole


def test_the_outline_names_days_and_pages(filled: Opened) -> None:
    outline = filled.index.outline(Wanted((ANN,)), 2)
    assert outline.total == 4
    assert outline.days == [(date(2024, 5, 8), 1), (date(2024, 5, 7), 1), (date(2024, 5, 6), 2)]
    numbers = [picture.number for picture in filled.pictures()]
    assert outline.starts == numbers[::2]


def test_choices_count_what_may_be_seen(filled: Opened) -> None:
    filled.gallery.favourite(filled.ids(), (ANN,), on=True)
    filled.gallery.trash(filled.ids(search="fox"), (ANN,))
    choices = filled.index.choices((ANN,))
    assert choices.models == [("art", 2), ("paint XL", 1)]
    assert choices.kinds == [("txt2img", 2), ("grids", 1)]
    assert (choices.favourites, choices.trash) == (3, 1)
    assert filled.index.choices(None).models == [("art", 3), ("paint XL", 1)]
    assert filled.index.others((ANN,))
    assert not filled.index.others((ANN, BOB))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="\"'*-+^:(){}[]ANDORNT0a狐é\0 ", max_size=40))
def test_nothing_that_is_typed_is_a_fault(text: str) -> None:
    connection = _words()
    words = full_text(text)
    if words is not None:
        connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (words,)).fetchall()


def _words() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (a, tokenize = 'unicode61 remove_diacritics 2')")
    return connection


def test_a_long_search_is_cut() -> None:
    assert len((full_text("word " * 100_000) or "").split()) == 32


def test_a_day_of_a_changed_clock_has_its_own_length() -> None:
    begin, end = day_bounds(date(2024, 3, 31))
    assert 23 <= (end - begin) / 3.6e9 <= 25


# --- 100,000 pictures: how the work grows is told by the plan, not by a clock ---

COUNT = 100_000
FIRST = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GalleryDatabase]:
    database = GalleryDatabase(tmp_path_factory.mktemp("many") / "gallery.sqlite", lambda _: None)
    rows = (
        (
            FIRST + i * 60_000_000,
            f"{i:032x}",
            f"{i}.png",
            ("ann", "", "bob")[i % 3],
            f"model {i % 9}",
            f"word{i % 50}",
        )
        for i in range(COUNT)
    )

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER words_in")  # all words at once are quicker
        connection.executemany(
            "INSERT INTO pictures (number, id, root, folder, file, bytes, mtime_ns, owner, state, kind, model, seed, "
            "width, height, prompt, negative, parameters) "
            "VALUES (?, ?, 0, '.', ?, 1, 1, ?, 0, 'txt2img', ?, '', 8, 8, ?, '', '')",
            rows,
        )
        connection.execute("INSERT INTO words (words) VALUES ('rebuild')")

    database.write(fill)
    yield database
    database.close()


PLANS = [
    (Wanted((ANN, "")), "by_owner"),
    (Wanted((ANN,), kind="txt2img"), "by_kind"),
    (Wanted((ANN, "", "api"), model="model 1"), "by_model"),
    (Wanted((ANN, ""), favourite=True), "by_favourite"),
    (Wanted((ANN, ""), day=date(2023, 11, 20)), "by_owner"),
    (Wanted((ANN, ""), trash=True), "by_owner"),
    (Wanted((ANN, ""), search="word7"), "words"),
    (Wanted((ANN, ""), search="word7", day=date(2023, 11, 20), kind="txt2img"), "words"),
    (Wanted(None), "pictures"),
    (Wanted(None, search="word7"), "words"),
]


@pytest.mark.parametrize(("wanted", "by"), PLANS)
def test_a_page_is_found_by_an_index_and_never_sorted(many: GalleryDatabase, wanted: Wanted, by: str) -> None:
    sql, values = select("number, id, prompt", wanted, before=FIRST + 50_000 * 60_000_000, limit=200)
    plan = [row[3] for row in many.read(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    scans = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    if by == "words":
        assert re.match(r"SCAN words VIRTUAL TABLE INDEX \d+:.*M", scans[0])
        assert scans[1] == "SEARCH pictures USING INTEGER PRIMARY KEY (rowid=?)"
    elif by == "pictures":
        assert scans == ["SEARCH pictures USING INTEGER PRIMARY KEY (rowid<?)"]
    else:
        assert all(f"USING INDEX {by} (owner=? AND state=?" in step for step in scans), plan


@pytest.mark.parametrize("wanted", [wanted for wanted, _ in PLANS if not wanted.trash and not wanted.favourite])
def test_a_page_costs_the_same_wherever_it_is(many: GalleryDatabase, wanted: Wanted) -> None:
    """SQLite counts its own steps: a page near the end takes about as many as the first."""
    numbers = [row[0] for row in many.read(*select("number", wanted))]
    ends = (None, numbers[len(numbers) * 9 // 10])
    first, last = (_steps(many, wanted, before) for before in ends)
    assert last < 3 * first + 100


def _steps(database: GalleryDatabase, wanted: Wanted, before: int | None) -> int:
    """How many times ten instructions of SQLite's machine a page takes."""
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    sql, values = select("number, id, prompt", wanted, before=before, limit=50)

    def work(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(counted, 10)
        try:
            assert connection.execute(sql, values).fetchall()
        finally:
            connection.set_progress_handler(None, 0)

    database.write(work)
    return count


def test_one_page_is_one_query(many: GalleryDatabase) -> None:
    counting = _Counting(many)
    index = Index(counting)  # type: ignore[arg-type]
    assert len(index.page(Wanted((ANN, "")), limit=200)) == 200
    assert counting.queries == 1
    outline = index.outline(Wanted((ANN, "")), 200)
    assert counting.queries == 2
    assert outline.total == sum(count for _, count in outline.days) > 60_000
    assert len(outline.starts) == -(-outline.total // 200)


class _Counting:
    def __init__(self, database: GalleryDatabase) -> None:
        self._database = database
        self.queries = 0

    def read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        self.queries += 1
        return self._database.read(sql, values)
