"""A whole server that is open to the network, over TLS: what the terminal says, and who comes in."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modules.schema.errors import SetupError
from modules.schema.settings import Settings
from modules.service.access_link import AccessLink, own_addresses
from modules.web.server import certificate
from tests.service.helpers import ROOT, until

if os.name == "posix":
    import pty

TLS = Path(__file__).parent / "tls"
CERTIFICATE, KEY = str(TLS / "localhost.pem"), str(TLS / "localhost-key.pem")
RUN = "import sys, pathlib; from modules.cli import main; sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1])))"


@dataclass(frozen=True)
class Server:
    folder: Path
    log: Path
    port: int

    @property
    def link(self) -> AccessLink:
        return AccessLink(self.folder / "cache" / "access.json")

    def ask(self, name: str, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of an answer; redirects are not followed."""
        request = urllib.request.Request(f"https://{name}:{self.port}{path}", headers=headers)
        trust = ssl.create_default_context(cafile=CERTIFICATE)
        trust.check_hostname = False
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust), _Stay())
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode("utf-8", "replace")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object, **_words: object) -> None:
        return None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its log is a file: the access link must not be in it."""
    folder = tmp_path_factory.mktemp("tls")
    log = folder / "log.txt"
    flags = ["--data-dir", str(folder), "--listen", "--port", "0", "--log-level", "debug"]
    flags += ["--tls-certfile", CERTIFICATE, "--tls-keyfile", KEY]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", RUN, str(ROOT), *flags], cwd=ROOT, stdout=output,
                                   stderr=output)  # fmt: skip
    try:
        until(lambda: "Ctrl+C" in log.read_text(encoding="utf-8") or process.poll() is not None, 90)
        match = re.search(r"https://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        assert match, log.read_text(encoding="utf-8")
        yield Server(folder, log, int(match[1]))
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.live
def test_at_the_machine_the_page_comes_over_tls(server: Server) -> None:
    status, headers, _ = server.ask("127.0.0.1", "/internal/ping")
    assert status == 200
    assert "server" not in {name.lower() for name in headers}
    _, headers, _ = server.ask("127.0.0.1", "/", Accept="text/html")
    assert "; Secure" in headers["set-cookie"]


@pytest.mark.live
def test_other_devices_need_the_link_and_get_in_by_it(server: Server) -> None:
    address = next((one for one in own_addresses() if ":" not in one), None)
    if address is None:
        pytest.skip("this machine is in no network")
    assert server.ask(address, "/internal/ping")[0] == 401
    elsewhere = {"X-Forwarded-For": "192.168.1.77"}
    assert server.ask(address, "/internal/ping", **elsewhere)[0] == 401
    status, headers, _ = server.ask(address, server.link.path(), **elsewhere)
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "; Secure" in cookie
    status, _, body = server.ask(address, "/api/v1/access", Cookie=cookie.partition(";")[0], **elsewhere)
    assert status == 200
    assert '"role":"user"' in body


@pytest.mark.live
def test_the_log_names_no_link_and_the_command_shows_it(server: Server) -> None:
    server.ask("127.0.0.1", server.link.path())
    assert server.link.code not in server.log.read_text(encoding="utf-8")
    command = [sys.executable, "-c", RUN, str(ROOT), "user", "link", "--data-dir", str(server.folder)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert server.link.code in shown
    assert not own_addresses() or f":{server.port}/access/" in shown


@pytest.mark.live
@pytest.mark.skipif(os.name != "posix" or not own_addresses(), reason="needs a pseudo terminal and a network")
def test_a_terminal_shows_the_link_and_its_code(tmp_path: Path) -> None:
    """And stops with --no-auth where there are accounts."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", RUN, str(ROOT), "--data-dir", str(tmp_path), "--listen", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        while b"user add NAME" not in seen:
            seen += os.read(master, 4096)
    finally:
        process.terminate()
        process.wait(60)
        os.close(master)
    text = seen.decode("utf-8", "replace")
    assert AccessLink(tmp_path / "cache" / "access.json").code in text
    assert "█" in text


@pytest.mark.parametrize(
    ("certfile", "keyfile", "words"),
    [("", KEY, "of no use without"), ("missing.pem", KEY, "cannot be used"), (KEY, CERTIFICATE, "cannot be used"),
     (CERTIFICATE, "", "cannot be used")],
)  # fmt: skip
def test_a_certificate_that_does_not_fit_is_one_sentence(certfile: str, keyfile: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        certificate(Settings(tls_certfile=certfile, tls_keyfile=keyfile))


def test_no_auth_beside_accounts_is_refused(tmp_path: Path) -> None:
    flags = ["--data-dir", str(tmp_path), "--api-auth", "ann:secret words", "--no-auth"]
    command = [sys.executable, "-c", RUN, str(ROOT), *flags]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)
    assert refused.returncode == 2
    assert "There are accounts, so --no-auth cannot be" in refused.stderr
    assert "secret words" not in refused.stderr
