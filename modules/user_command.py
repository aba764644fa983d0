"""`python webui.py user ...`: the accounts of those who may come in, and the access link. A running server sees a
change at once."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.flags import read_settings, user_flags
from modules.schema.errors import BadRequest
from modules.schema.settings import Folders, folders
from modules.service.access_link import AccessLink
from modules.service.accounts import FILE, LIMITS, Account, Accounts, Role, checked_password
from modules.terminal import say, show_code, tell

_NAMELESS = ("list", "link")


def user(arguments: Sequence[str], program: Path) -> int:
    """Do what the arguments say; returns the exit code."""
    given = user_flags().read(arguments)
    action, name = given.pop("action"), given.pop("name", "")
    options = {key: given.pop(key) for key in ("owner", "stdin", "revoke", "new", "limits") if key in given}
    settings, notices = read_settings(given, program)
    say(*notices)
    places = folders(settings, program)
    if bool(name) == (action in _NAMELESS):
        wanted = "takes no name" if name else "needs a name"
        raise BadRequest(f"'{action}' {wanted}; 'python webui.py user --help' shows how it goes.")
    accounts = Accounts(places.data / FILE)
    {
        "add": _add,
        "list": _list,
        "remove": _remove,
        "password": _password,
        "token": _token,
        "limit": _limit,
        "link": lambda *_: _link(places, options),
    }[action](accounts, name, options)
    return 0


def _add(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    role: Role = "owner" if options.get("owner") else "user"
    accounts.check_new(name, role)
    first = not accounts.exist()
    account = accounts.add(name, _ask(name, options), role)
    say(f"{account.name} can log in now, as {'an owner' if role == 'owner' else 'a user'}.")
    if first:
        say("From now on everybody must log in, also on this machine; the access link opens nothing any more.")


def _list(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    del name, options
    for account in accounts.all():
        tell(_line(account))
    if not accounts.all():
        say("There are no accounts; 'python webui.py user add NAME --owner' makes the first one.")


def _line(account: Account) -> str:
    made = time.strftime("%Y-%m-%d", time.localtime(account.created))
    limits = "".join(f", {name} {value}" for name, value in account.limits.items())
    tokens = f", tokens {len(account.tokens)}" if account.tokens else ""
    return f"{account.name}  {account.role}, since {made}{tokens}{limits}"


def _remove(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    del options
    accounts.remove(name)
    say(f"{name} is removed, and logged out everywhere; the pictures stay in the outputs folder.")
    if not accounts.exist():
        say("There are no accounts any more: who sits at this machine need not log in, others need the access link.")


def _password(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    accounts.set_password(accounts.find(name).name, _ask(name, options))
    say(f"{name} has a new password, and is logged out everywhere; tokens have ended too.")


def _token(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    if options.get("revoke"):
        say(f"{accounts.revoke_tokens(name)} tokens of {name} have ended.")
        return
    tell(accounts.make_token(name))
    say("This is shown only once. A program sends it as the header 'Authorization: Bearer TOKEN'.")


def _limit(accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    changes = dict(_read_limit(text) for text in options.get("limits", []))
    accounts.set_limits(name, changes)
    say(_line(accounts.find(name)))


def _read_limit(text: str) -> tuple[str, int | None]:
    """`NAME=NUMBER`; "default" takes the setting's again."""
    key, _, value = text.partition("=")
    if key not in LIMITS or not (value.isdecimal() or value == "default") or len(value) > 9:
        raise BadRequest(
            f"{text!r} is no limit: write NAME=NUMBER (0 is none) or NAME=default, of {', '.join(LIMITS)}."
        )
    return key, None if value == "default" else int(value)


def _ask(name: str, options: dict[str, Any]) -> str:
    """The password: typed twice unseen, or the first line of stdin. Raises BadRequest."""
    if options.get("stdin"):
        return checked_password(sys.stdin.readline().rstrip("\r\n"), name)
    if not sys.stdin.isatty():
        raise BadRequest("There is no terminal to type a password in: give it on stdin, with --stdin.")
    password = checked_password(getpass.getpass(f"Password for {name}: "), name)
    if getpass.getpass("Once more: ") != password:
        raise BadRequest("The two passwords differ; nothing was changed.")
    return password


def _link(places: Folders, options: dict[str, Any]) -> None:
    link = AccessLink(places.state / "access.json")
    if options.get("new"):
        link.renew()
        say("This is a new link; the old one opens nothing any more, and who came by it is out.")
    addresses = link.place.elsewhere() if link.place else []
    for address in addresses or ["http://ADDRESS-OF-THIS-COMPUTER:7860"]:
        tell(address + link.path())
    if addresses:
        show_code(addresses[0] + link.path())
    else:
        say("No server was started with --listen here yet; put its address in front of the link.")
