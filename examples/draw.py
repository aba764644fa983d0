"""Draw a picture over the API: order, watch, fetch. Nothing but Python's standard library.

    python examples/draw.py "a red boat" boat.png [--address http://127.0.0.1:7860] [--token TOKEN]

A token is made with `python webui.py user token NAME`, where the server asks for one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TRIES = 5


class Api:
    """The calls that are needed; raises SystemExit with the server's own sentence."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def order(self, request: dict[str, Any]) -> str:
        """The id of the job. The key makes it safe to send the order again when no answer came."""
        body, key = json.dumps(request).encode(), str(uuid.uuid4())
        for attempt in range(TRIES):
            try:
                with self._open("/api/v1/jobs", body, {"Idempotency-Key": key}) as answer:
                    return json.load(answer)["id"]
            except urllib.error.URLError as error:
                print(f"No answer ({error.reason}), once more ...", file=sys.stderr)
                time.sleep(attempt + 1)
        raise SystemExit("The server does not answer.")

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """What the job says, to its end."""
        with self._open(f"/api/v1/jobs/{job}/events") as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def picture(self, job: str, index: int) -> bytes:
        with self._open(f"/api/v1/jobs/{job}/images/{index}") as answer:
            return answer.read()

    def cancel(self, job: str) -> None:
        self._open(f"/api/v1/jobs/{job}/cancel", b"{}").close()

    def _open(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        all_headers = {**self._headers, **(headers or {}), "Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, body, all_headers)
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            raise SystemExit(json.load(error)["detail"]) from None


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a picture over the API.")
    parser.add_argument("prompt")
    parser.add_argument("file", type=Path)
    parser.add_argument("--address", default="http://127.0.0.1:7860")
    parser.add_argument("--token", default="")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    given = parser.parse_args()
    api = Api(given.address, given.token)
    job = api.order({"prompt": given.prompt, "steps": given.steps, "width": given.size, "height": given.size})
    try:
        for event in api.events(job):
            if event["event"] == "Progress":
                print(f"step {event['step']} of {event['steps']}", file=sys.stderr)
            elif event["event"] == "Failed":
                raise SystemExit(event["message"])
    except KeyboardInterrupt:
        api.cancel(job)
        raise SystemExit("Cancelled.") from None
    given.file.write_bytes(api.picture(job, 0))
    print(given.file)


if __name__ == "__main__":
    main()
