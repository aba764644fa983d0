"""The accounts file, sessions, the brake, the link: what is kept, and how it is found again."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.schema.errors import BadRequest, NotFound, SetupError
from modules.schema.settings import Settings, folders
from modules.service.access_link import AccessLink, Place, qr_svg, qr_text
from modules.service.accounts import Accounts, checked_name
from modules.service.people import People
from modules.service.private_file import PrivateFile
from modules.service.sessions import Sessions
from modules.service.throttle import Throttle, network
from tests.sources import ROOT

PASSWORD = "correct horse battery"
RUN = "import sys, pathlib; from modules.cli import main; sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1])))"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    """With a hash that costs little; the real one's cost is its library's matter."""
    return Accounts(tmp_path / "accounts.json", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_a_password_is_kept_as_an_argon2id_hash_in_a_private_file(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.json")
    accounts.add("Ann", PASSWORD, "owner")
    text = accounts.path.read_text(encoding="utf-8")
    assert PASSWORD not in text
    assert "$argon2id$" in text
    assert "m=65536" in text
    if os.name == "posix":
        assert stat.S_IMODE(accounts.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["accounts.json"]


def test_checking(accounts: Accounts) -> None:
    accounts.add("Ann", PASSWORD, "owner")
    assert accounts.check(" ANN ", PASSWORD) == accounts.get("ann")
    assert accounts.check("ann", PASSWORD + "x") is None
    assert accounts.check("ann", "") is None
    assert accounts.check("nobody", PASSWORD) is None
    assert accounts.check("a" * 10_000, "b" * 1_000_000) is None
    assert accounts.check("ann", "\ud800") is None


def test_a_password_is_the_same_from_every_keyboard(accounts: Accounts) -> None:
    accounts.add("ann", "cafe\u0301 cafe\u0301", "owner")
    assert accounts.check("ann", "café café") is not None


def test_an_unknown_name_is_hashed_as_a_known_one(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts.add("ann", PASSWORD, "owner")
    verified: list[str] = []
    real = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str, password: str) -> bool:
        verified.append(hash)
        return real(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    accounts.check("nobody", "guess guess")
    accounts.check("ann", "guess guess")
    nobody, ann = verified
    assert nobody.rpartition("$")[0].rpartition("$")[0] == ann.rpartition("$")[0].rpartition("$")[0]  # same cost


@pytest.mark.parametrize("password", ["", "short", "ann", "aaaaaaaaaa", "a1" * 200])
def test_passwords_that_cannot_be(accounts: Accounts, password: str) -> None:
    with pytest.raises(BadRequest):
        accounts.add("ann", password, "owner")


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "a/b", "a:b", ".a", "a\0", "a\nb", "a" * 33, "<b>", "a,b"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(BadRequest):
        checked_name(name)


def test_an_owner_comes_first_and_goes_last(accounts: Accounts) -> None:
    with pytest.raises(BadRequest, match="no owner yet"):
        accounts.add("bob", PASSWORD, "user")
    accounts.add("ann", PASSWORD, "owner")
    accounts.add("bob", PASSWORD, "user")
    with pytest.raises(BadRequest, match="already"):
        accounts.add("BOB", PASSWORD, "user")
    with pytest.raises(BadRequest, match="only owner"):
        accounts.remove("ann")
    accounts.remove("Bob")
    accounts.remove("ann")
    assert not accounts.exist()
    with pytest.raises(NotFound):
        accounts.remove("ann")


def test_a_token_is_shown_once_and_kept_as_a_hash(accounts: Accounts) -> None:
    accounts.add("ann", PASSWORD, "owner")
    token = accounts.make_token("ann")
    assert token not in accounts.path.read_text(encoding="utf-8")
    assert accounts.by_token(token) == accounts.get("ann")
    assert accounts.by_token(token[:-1]) is None
    assert accounts.by_token("") is None
    accounts.set_password("ann", "another password")
    assert accounts.by_token(token) is None


def test_what_another_process_changes_is_seen_at_once(accounts: Accounts) -> None:
    accounts.add("ann", PASSWORD, "owner")
    other = Accounts(accounts.path, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    other.add("bob", PASSWORD, "user")
    assert [account.name for account in accounts.all()] == ["ann", "bob"]
    other.remove("bob")
    assert accounts.get("bob") is None


def test_two_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def add(number: int) -> None:
        PrivateFile(tmp_path / "file.json").change(lambda content: {**content, str(number): number})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(PrivateFile(tmp_path / "file.json").read()) == 12


def test_a_lock_of_a_command_that_died_is_broken(tmp_path: Path) -> None:
    lock = tmp_path / ".file.json.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    PrivateFile(tmp_path / "file.json").change(lambda content: {"a": 1})
    assert not lock.exists()


@settings(max_examples=60, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.builds(json.dumps, st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["owner", "users"]),
    lambda inside: st.lists(inside, max_size=3)
    | st.dictionaries(st.sampled_from(["users", "ann", "role", "password", "tokens", "limits"]), inside, max_size=3),
    max_leaves=12,
))))  # fmt: skip
def test_a_file_that_is_not_ours_is_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("accounts") / "accounts.json"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert all(account.role in ("owner", "user") for account in Accounts(path).all())
    except SetupError as error:
        assert str(path) in str(error)


# Sessions


def test_sessions_are_kept_as_hashes_and_end(accounts: Accounts, tmp_path: Path) -> None:
    ann = accounts.add("ann", PASSWORD, "owner")
    sessions = Sessions(tmp_path / "cache" / "sessions.json", accounts)
    token, guest = sessions.open(ann), sessions.open_guest("stamp")
    text = (tmp_path / "cache" / "sessions.json").read_text(encoding="utf-8")
    assert token not in text
    assert guest not in text
    assert len(token) >= 43  # 256 bits
    found = sessions.find(token, None)
    assert found is not None
    assert found.person == "person:ann"
    assert not found.should_be_renewed
    assert sessions.find(guest, None) is None
    assert sessions.find(guest, "another stamp") is None
    assert sessions.find(guest, "stamp") is not None
    sessions.close(token)
    assert sessions.find(token, None) is None
    sessions.close_guests()
    assert sessions.find(guest, "stamp") is None


def test_a_session_lasts_thirty_days_from_its_last_use(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = accounts.add("ann", PASSWORD, "owner")
    sessions = Sessions(tmp_path / "sessions.json", accounts)
    clock = [1_000_000_000.0]
    monkeypatch.setattr("modules.service.sessions.time.time", lambda: clock[0])
    token = sessions.open(ann)
    clock[0] += 20 * 86400
    found = sessions.find(token, None)
    assert found is not None
    assert found.should_be_renewed
    sessions.renew(token)
    clock[0] += 29 * 86400
    assert sessions.find(token, None) is not None
    clock[0] += 2 * 86400
    assert sessions.find(token, None) is None


def test_sessions_do_not_grow_without_end(accounts: Accounts, tmp_path: Path) -> None:
    ann = accounts.add("ann", PASSWORD, "owner")
    sessions = Sessions(tmp_path / "sessions.json", accounts)
    tokens = [sessions.open(ann) for _ in range(60)]
    assert sum(sessions.find(token, None) is not None for token in tokens) == 50
    assert sessions.find(tokens[-1], None) is not None


# The brake


def test_waiting_grows_and_is_forgotten() -> None:
    clock = [0.0]
    throttle = Throttle(lambda: clock[0])
    waits: list[float] = []
    for _ in range(18):
        throttle.failed("10.0.0.1", "ann")
        waits.append(throttle.wait("10.0.0.1", "ann"))
    assert waits[:4] == [0.0] * 4
    assert waits[4:9] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(waits) == waits[-1] == 900.0
    assert throttle.wait("10.0.0.2", "bob") == 0.0
    clock[0] = 901.0
    assert throttle.wait("10.0.0.1", "ann") == 0.0
    clock[0] = 5000.0
    throttle.failed("10.0.0.1", "ann")
    assert throttle.wait("10.0.0.1", "ann") == 0.0


def test_a_name_cannot_be_locked_for_long_and_not_for_who_came_before() -> None:
    throttle = Throttle(lambda: 100.0)
    throttle.succeeded("10.0.0.5", "ann")
    for number in range(200):
        throttle.failed(f"10.1.{number}.1", "ann")
    assert throttle.wait("10.9.9.9", "ann") == 30.0
    assert throttle.wait("10.0.0.5", "ann") == 0.0


def test_memory_is_bounded_whatever_is_tried() -> None:
    throttle = Throttle()
    for number in range(20_000):
        throttle.failed(f"10.{number % 250}.{number // 250}.1", f"name {number}")
    assert max(len(throttle._addresses), len(throttle._names)) <= 4096


def test_an_address_of_the_newer_kind_is_its_household() -> None:
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") != network("2001:db8:1:3::1")
    assert network("::ffff:10.0.0.1") == "10.0.0.1"
    assert network("fe80::1%eth0") == network("fe80::2%eth0")
    assert network("x" * 500) == "x" * 64


# The link


def test_the_link_is_long_random_private_and_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    link = AccessLink(path)
    code = link.code
    assert len(code) >= 43
    assert AccessLink(path).code == code
    assert link.fits(code)
    assert not link.fits(code[:-1])
    assert not link.fits("")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    stamp = link.stamp
    link.renew()
    assert link.code != code
    assert link.stamp != stamp
    assert code[:8] not in stamp


def test_where_a_server_is() -> None:
    assert Place("http", "0.0.0.0", 7860).here() == "http://127.0.0.1:7860"
    assert Place("https", "::", 443).here() == "https://[::1]"
    assert Place("http", "127.0.0.1", 80).elsewhere() == []
    assert Place("http", "localhost", 80).elsewhere() == []
    assert Place("http", "192.168.1.5", 7860).elsewhere() == ["http://192.168.1.5:7860"]
    assert all(address.startswith("http://") for address in Place("http", "0.0.0.0", 1).elsewhere())


def test_codes_for_phones() -> None:
    svg = qr_svg("http://192.168.1.5:7860/access/" + "x" * 43)
    assert svg.startswith("<svg")
    assert "script" not in svg
    assert "█" in qr_text("http://192.168.1.5:7860/access/" + "x" * 43)


def test_a_start_with_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").write_text("{", encoding="utf-8")
    with pytest.raises(SetupError, match="cannot be read"):
        People(folders(Settings(data_dir=str(tmp_path)), ROOT))


# The command


def run(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(ROOT), "user", "--data-dir", str(folder), *words]
    return subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_makes_and_lists_accounts(tmp_path: Path) -> None:
    made = run(tmp_path, "add", "Ann", "--owner", "--stdin", typed=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    assert "everybody must log in" in made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    token = run(tmp_path, "token", "ann").stdout.strip()
    assert Accounts(tmp_path / "accounts.json").by_token(token) is not None
    assert run(tmp_path, "limit", "ann", "queue=3", "size=512").returncode == 0
    listed = run(tmp_path, "list").stdout
    assert listed.startswith("ann  owner")
    assert "queue 3, size 512" in listed
    assert token not in listed


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (("add", "bob", "--stdin"), PASSWORD, "no owner yet"),
        (("add", "ann", "--owner", "--stdin"), "short", "too short"),
        (("add", "ann", "--owner"), "", "There is no terminal"),
        (("limit", "ann", "queue=x"), "", "is no limit"),
        (("remove", "ann"), "", "no account named"),
        (("add",), "", "needs a name"),
    ],
)
def test_the_command_refuses_with_a_sentence(
    tmp_path: Path, words: tuple[str, ...], typed: str, sentence: str
) -> None:
    refused = run(tmp_path, *words, typed=f"{typed}\n")
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
