"""How each fault of the storage shows itself, and the few requests that its tests are made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

KEY = {"Authorization": "Bearer any"}
BYTES = b"the harbour ledger of tides"
Check = Callable[[Any], None]


def ask(server: Any, method: str, path: str, **more: Any) -> httpx.Response:
    """An answer of the storage, with a good key unless ``headers`` say otherwise."""
    headers = {**KEY, **more.pop("headers", {})}
    answer: httpx.Response = server.http.request(method, f"/storage/v1/{path}", headers=headers, **more)
    return answer


def put(server: Any, name: str, data: bytes = BYTES, *, bucket: str = "docproc", **headers: str) -> httpx.Response:
    """The answer to an upload that replaces what was there."""
    sent = {"x-upsert": "true", "content-type": "text/plain", **headers}
    return ask(server, "POST", f"object/{bucket}/{name}", content=data, headers=sent)


def told(answer: httpx.Response) -> tuple[int, str, str, str]:
    """A refusal: the HTTP status, and status, error and message inside."""
    body = answer.json()
    assert set(body) == {"statusCode", "error", "message"}
    return answer.status_code, body["statusCode"], body["error"], body["message"]


def refused_put(status: int, inner: str | None = None, **headers: str | None) -> Check:
    def check(server: Any) -> None:
        name = f"raw/{uuid4()}.txt"
        answer = put(server, name)
        assert answer.status_code == status
        assert answer.json().get("statusCode") == inner
        for header, value in headers.items():
            assert answer.headers.get(header.replace("_", "-")) == value
        assert ask(server, "HEAD", f"object/docproc/{name}").status_code == 400

    return check


def spoilt_get(look: Callable[[Any, str], None]) -> Check:
    """A download goes wrong in the way that ``look`` sees."""

    def check(server: Any) -> None:
        name = f"raw/{uuid4()}.txt"
        assert put(server, name).status_code == 200
        look(server, f"object/docproc/{name}")

    return check


def refused_key(server: Any) -> None:
    assert told(put(server, "raw/a.txt"))[1] == "403"
    assert told(ask(server, "GET", "bucket/docproc"))[1] == "403"
    assert told(ask(server, "GET", "object/docproc/raw/a.txt"))[1:] == ("404", "Bucket not found", "Bucket not found")


def done_all_the_same(server: Any) -> None:
    name = f"raw/{uuid4()}.txt"
    assert put(server, name).status_code == 500
    assert ask(server, "GET", f"object/docproc/{name}").content == BYTES


def slow(server: Any, path: str) -> None:
    started = time.monotonic()
    assert ask(server, "GET", path).content == BYTES
    assert time.monotonic() - started >= 0.2


def corrupt(server: Any, path: str) -> None:
    answer = ask(server, "GET", path)
    assert len(answer.content) == len(BYTES)
    assert answer.headers["etag"] == f'"{hashlib.md5(BYTES).hexdigest()}"'
    assert answer.headers["etag"] != f'"{hashlib.md5(answer.content).hexdigest()}"'


def cut(server: Any, path: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(server, "GET", path)
