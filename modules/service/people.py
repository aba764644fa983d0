"""Who may come in: accounts, the sessions of browsers, and the access link of one data folder."""

from __future__ import annotations

from modules.schema.settings import Folders
from modules.service.access_link import AccessLink
from modules.service.accounts import FILE, Accounts
from modules.service.sessions import Sessions


class People:
    """Raises SetupError where the accounts are there and cannot be read: then nobody is let in by mistake."""

    def __init__(self, places: Folders) -> None:
        self.accounts = Accounts(places.data / FILE)
        self.accounts.all()
        self.sessions = Sessions(places.state / "sessions.json", self.accounts)
        self.link = AccessLink(places.state / "access.json")
