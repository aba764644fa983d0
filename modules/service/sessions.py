"""Sessions: browsers that have logged in, or opened the access link. Kept over restarts, as hashes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from modules.service.accounts import GUEST, Account, Accounts, hash_token
from modules.service.private_file import Content, PrivateFile

DAYS = 30
_SECONDS = DAYS * 86400.0
_MOST = 5000
_MOST_EACH = 50


@dataclass(frozen=True)
class Session:
    """`stamp` is that of the account's password, or of the access link, with which it was opened."""

    person: str
    stamp: str
    ends: float

    @property
    def should_be_renewed(self) -> bool:
        return self.ends - time.time() < _SECONDS / 2


class Sessions:
    """Which random tokens stand for whom. Safe for threads.

    A session ends after 30 days without a visit, by logging out, with its account, with its password, or with the
    access link that opened it.
    """

    def __init__(self, path: Path, accounts: Accounts) -> None:
        self._file = PrivateFile(path)
        self._accounts = accounts
        self._lock = threading.Lock()

    def open(self, account: Account) -> str:
        """A new session of an account; returns the token for its cookie."""
        return self._add(account.person, account.stamp)

    def open_guest(self, link_stamp: str) -> str:
        """A new session of somebody who has the access link: each is a person of its own."""
        return self._add(GUEST + secrets.token_urlsafe(12), link_stamp)

    def find(self, token: str, link_stamp: str | None) -> Session | None:
        """The session of a token, when it is still good. `link_stamp` None: the access link opens nothing now."""
        entry = self._file.read().get(hash_token(token))
        session = Session(**entry) if entry else None
        if session is None or session.ends < time.time():
            return None
        if session.person.startswith(GUEST):
            return session if session.stamp == link_stamp else None
        account = self._accounts.of_person(session.person)
        return session if account is not None and account.stamp == session.stamp else None

    def renew(self, token: str) -> None:
        """Count its 30 days from now."""
        key = hash_token(token)

        def changed(content: Content) -> Content:
            entry = content.get(key)
            return {**content, key: {**entry, "ends": time.time() + _SECONDS}} if entry else content

        self._change(changed)

    def close(self, token: str) -> None:
        """Log out."""
        key = hash_token(token)
        self._change(lambda content: {name: entry for name, entry in content.items() if name != key})

    def close_guests(self) -> None:
        """End all sessions of the access link."""
        self._change(
            lambda content: {name: entry for name, entry in content.items() if not entry["person"].startswith(GUEST)}
        )

    def _add(self, person: str, stamp: str) -> str:
        token = secrets.token_urlsafe(32)
        session = Session(person, stamp, time.time() + _SECONDS)
        self._change(lambda content: _trimmed({**content, hash_token(token): asdict(session)}, person))
        return token

    def _change(self, how: Callable[[Content], Content]) -> None:
        with self._lock:
            self._file.change(how)


def _trimmed(content: Content, person: str) -> Content:
    """Without those that have ended, and the oldest of too many of one person, or in all."""
    now = time.time()
    newest = sorted(content.items(), key=lambda item: item[1]["ends"], reverse=True)
    kept: Content = {}
    of_person = 0
    for name, entry in newest[:_MOST]:
        of_person += entry["person"] == person
        if entry["ends"] > now and (entry["person"] != person or of_person <= _MOST_EACH):
            kept[name] = entry
    return kept
