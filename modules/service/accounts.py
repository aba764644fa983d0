"""Accounts: who may come in, with which password or token, as which role, and how much each may ask for.

They are in `accounts.json` of the data folder, which the command `python webui.py user` writes and a running server
reads again when it has changed. Passwords are there as argon2id hashes, tokens as SHA-256 (they are random, so that
no slow hash is needed).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from modules.schema.errors import BadRequest, NotFound, SetupError
from modules.service.private_file import Content, PrivateFile

Role = Literal["owner", "user"]

FILE = "accounts.json"
PERSON = "person:"
GUEST = "guest:"
LIMITS = ("queue", "size", "steps", "batch", "pictures", "training_steps")
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
MOST_TOKENS = 20
_MOST_ACCOUNTS = 10_000
_NAME = re.compile(r"\w[\w.@-]{0,31}")


@dataclass(frozen=True)
class Account:
    """`password` and `tokens` are hashes. `lent`: it is of this start only, from the command line."""

    name: str
    role: Role
    password: str
    tokens: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict[str, int])
    created: float = 0.0
    lent: bool = False

    @property
    def person(self) -> str:
        """The owner of this account's jobs and pictures."""
        return PERSON + self.name

    @property
    def stamp(self) -> str:
        """Changes with the password: what was opened with the old one is closed."""
        return hashlib.sha256(self.password.encode()).hexdigest()[:16]


class Accounts:
    """The accounts of a data folder. Methods may be called from any thread; checking a password takes about 0.1 s and
    64 MiB. Reading raises SetupError where the file is there and cannot be understood: nobody comes in then."""

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._file = PrivateFile(path)
        self._hasher = hasher or PasswordHasher()
        self._lent: dict[str, Account] = {}
        self._known: tuple[Content, dict[str, Account]] = {}, {}

    @cached_property
    def _nobody(self) -> str:
        """What an unknown name's password is compared with, so that it takes as long as a known one's."""
        return self._hasher.hash(secrets.token_urlsafe(16))

    @property
    def path(self) -> Path:
        return self._file.path

    def all(self) -> list[Account]:
        """Every account by name."""
        table = {**self._stored(), **self._lent}
        return [table[name] for name in sorted(table)]

    def exist(self) -> bool:
        """Whether there is any: then everybody must log in."""
        return bool(self._lent or self._stored())

    def get(self, name: str) -> Account | None:
        """The account of that name; upper and lower case are the same."""
        key = plain_name(name)
        return self._lent.get(key) or self._stored().get(key)

    def of_person(self, person: str) -> Account | None:
        """The account whose jobs belong to `person`."""
        return self.get(person.removeprefix(PERSON)) if person.startswith(PERSON) else None

    # Coming in

    def check(self, name: str, password: str) -> Account | None:
        """The account, when that is its password. An unknown name takes as long as a wrong password."""
        account = self.get(name[:100])
        stored = account.password if account else self._nobody
        try:
            fits = self._hasher.verify(stored, _bytes(password[: LONGEST_PASSWORD + 1]))
        except (VerificationError, InvalidHashError):
            fits = False
        return account if fits else None

    def by_token(self, token: str) -> Account | None:
        """The account that has this token."""
        wanted = hash_token(token)
        found = None
        for account in self.all():
            for stored in account.tokens:
                if hmac.compare_digest(stored, wanted):
                    found = account
        return found

    # Changing

    def lend(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Owners for this start only. Raises BadRequest."""
        for name, password in pairs:
            key = checked_name(name)
            if not password:
                raise BadRequest(f"The account {name!r} has no password: give it as NAME:PASSWORD.")
            hashed = self._hasher.hash(_bytes(password))
            self._lent[key] = Account(key, "owner", hashed, created=time.time(), lent=True)

    def find(self, name: str) -> Account:
        """The account of that name; raises NotFound."""
        account = self.get(name)
        if account is None:
            raise NotFound(f"There is no account named {name!r}; 'python webui.py user list' shows all.")
        return account

    def check_new(self, name: str, role: Role) -> None:
        """Raises BadRequest where no such account can be made: a name that cannot be, and a first one that is no
        owner."""
        _check_new(self._checked(self._file.read()), checked_name(name), role)

    def add(self, name: str, password: str, role: Role) -> Account:
        """Make an account. Raises BadRequest as `check_new`, and for a password that cannot be."""
        key = checked_name(name)
        hashed = self._hashed(key, password)

        def added(users: Content) -> None:
            _check_new(users, key, role)
            users[key] = {"role": role, "password": hashed, "created": int(time.time()), "tokens": [], "limits": {}}

        self._change(added)
        return self.find(key)

    def remove(self, name: str) -> None:
        """Forget an account; its sessions and tokens end. Raises NotFound, and BadRequest for the last owner."""

        def removed(users: Content) -> None:
            key = _key(users, name)
            del users[key]
            if users and not _owners(users):
                raise BadRequest(f"{key!r} is the only owner: make another one first, or remove the others before.")

        self._change(removed)

    def set_password(self, name: str, password: str) -> None:
        """Give a new password; sessions and tokens of the old one end."""
        hashed = self._hashed(plain_name(name), password)

        def changed(users: Content) -> None:
            user = users[_key(users, name)]
            user.update(password=hashed, tokens=[])

        self._change(changed)

    def make_token(self, name: str) -> str:
        """A new token for programs; it is shown this once, only its hash is kept."""
        token = secrets.token_urlsafe(32)

        def changed(users: Content) -> None:
            user = users[_key(users, name)]
            if len(user["tokens"]) >= MOST_TOKENS:
                raise BadRequest(f"{name!r} has {MOST_TOKENS} tokens: end them first, with --revoke.")
            user["tokens"] = [*user["tokens"], {"hash": hash_token(token), "created": int(time.time())}]

        self._change(changed)
        return token

    def revoke_tokens(self, name: str) -> int:
        """End all tokens of an account; returns how many there were."""
        count = 0

        def changed(users: Content) -> None:
            nonlocal count
            user = users[_key(users, name)]
            count = len(user["tokens"])
            user["tokens"] = []

        self._change(changed)
        return count

    def set_limits(self, name: str, limits: dict[str, int | None]) -> None:
        """Limits of one account by their names; None takes the setting's again, 0 is none."""

        def changed(users: Content) -> None:
            user = users[_key(users, name)]
            merged = {**user["limits"], **limits}
            user["limits"] = {key: value for key, value in merged.items() if value is not None}

        self._change(changed)

    # Inside

    def _hashed(self, name: str, password: str) -> str:
        return self._hasher.hash(_bytes(checked_password(password, name)))

    def _change(self, how: Callable[[Content], None]) -> None:
        def changed(content: Content) -> Content:
            users = {name: dict(user) for name, user in self._checked(content).items()}
            how(users)
            return {**content, "version": 1, "users": users}

        self._file.change(changed)

    def _stored(self) -> dict[str, Account]:
        content = self._file.read()
        known, accounts = self._known
        if content is not known:
            accounts = {name: _account(name, user) for name, user in self._checked(content).items()}
            self._known = content, accounts
        return accounts

    def _checked(self, content: Content) -> dict[str, dict[str, Any]]:
        """The users of the file's content, of which every one is as it should be. Raises SetupError."""
        users = content.get("users") if content else {}
        if not isinstance(users, dict) or not all(_is_user(name, user) for name, user in users.items()):
            raise SetupError(
                f"{self.path} is not as it was written by 'python webui.py user': mend it, or move it away and make "
                "the accounts again."
            )
        return users


def plain_name(name: str) -> str:
    """The one spelling of a name."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def checked_name(name: str) -> str:
    """The name as it is kept. Raises BadRequest."""
    key = plain_name(name)
    if not _NAME.fullmatch(key):
        raise BadRequest(
            f"An account cannot be called {name[:40]!r}: use at most 32 letters, digits and . _ - @, a letter or "
            "digit first.",
            "name",
        )
    return key


def checked_password(password: str, name: str) -> str:
    """The password as it is hashed. Raises BadRequest for one that is too short, too long, or the name."""
    plain = _plain_password(password)
    if len(plain) < SHORTEST_PASSWORD:
        raise BadRequest(f"The password is too short: take at least {SHORTEST_PASSWORD} characters.", "password")
    if len(plain) > LONGEST_PASSWORD:
        raise BadRequest(f"The password is too long: take at most {LONGEST_PASSWORD} characters.", "password")
    if plain.casefold() == name or len(set(plain)) == 1:
        raise BadRequest("This password is guessed at once: take another one.", "password")
    return plain


def hash_token(token: str) -> str:
    """What is kept of a random token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _plain_password(password: str) -> str:
    """Keyboards write accented letters in one piece or in two: here they are the same."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _plain_password(password).encode("utf-8", "surrogatepass")


def _key(users: Content, name: str) -> str:
    key = plain_name(name)
    if key not in users:
        raise NotFound(f"There is no account named {name!r}; 'python webui.py user list' shows all.")
    return key


def _check_new(users: Content, key: str, role: Role) -> None:
    if key in users:
        raise BadRequest(f"There is an account named {key!r} already; its password is changed by 'password'.")
    if role != "owner" and not _owners(users):
        raise BadRequest(
            "There is no owner yet: make the account of this machine's owner first, with --owner; everybody must log "
            "in from then on."
        )
    if len(users) >= _MOST_ACCOUNTS:
        raise BadRequest(f"There are {_MOST_ACCOUNTS} accounts; remove some first.")


def _owners(users: Content) -> list[str]:
    return [name for name, user in users.items() if user["role"] == "owner"]


def _is_user(name: Any, user: Any) -> bool:
    return (
        isinstance(name, str)
        and plain_name(name) == name
        and isinstance(user, dict)
        and user.get("role") in ("owner", "user")
        and isinstance(user.get("password"), str)
        and all(isinstance(token.get("hash"), str) for token in user.get("tokens", []))
        and all(key in LIMITS and isinstance(value, int) for key, value in user.get("limits", {}).items())
    )


def _account(name: str, user: dict[str, Any]) -> Account:
    return Account(
        name=name,
        role=user["role"],
        password=user["password"],
        tokens=tuple(token["hash"] for token in user.get("tokens", [])),
        limits=dict(user.get("limits", {})),
        created=float(user.get("created", 0)),
    )
