"""How each fault shows itself: checks that have one request go wrong and look at what came back and what it cost."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import llama_cloud
import numpy as np
import openai
import pytest

SMALL = "text-embedding-3-small"
ALL = ["markdown", "text", "metadata", "usage"]
Check = Callable[[Any], None]


def upload(server: Any) -> Any:
    data = f"# Title {uuid4()}".encode()
    return server.llamaparse().files.create(file=("page.md", data), purpose="parse")


def submit(server: Any) -> Any:
    file = upload(server)
    return server.llamaparse().parsing.create(file_id=file.id, tier="fast", version="latest")


def fetch(server: Any, job_id: str) -> Any:
    return server.llamaparse().parsing.get(job_id, expand=ALL)


def newest(server: Any) -> Any:
    return next(iter(server.llamaparse().parsing.list()))


def refused_submit(status: int, **headers: str | None) -> Check:
    def check(server: Any) -> None:
        before = server.billing()["jobs_created"]
        with pytest.raises(llama_cloud.APIStatusError) as refused:
            submit(server)
        assert refused.value.status_code == status
        for name, value in headers.items():
            assert refused.value.response.headers.get(name.replace("_", "-")) == value
        assert server.billing()["jobs_created"] == before

    return check


def refused_get(status: int, *, only_fetch: bool = False) -> Check:
    def check(server: Any) -> None:
        job = submit(server)
        with pytest.raises(llama_cloud.APIStatusError) as refused:
            fetch(server, job.id)
        assert refused.value.status_code == status
        if only_fetch:
            assert server.llamaparse().parsing.get(job.id).job.status == "COMPLETED"

    return check


def refused_key(server: Any) -> None:
    with pytest.raises(llama_cloud.AuthenticationError):
        server.llamaparse().parsing.list()


def refused_upload(server: Any) -> None:
    with pytest.raises(llama_cloud.APIStatusError) as refused:
        upload(server)
    assert refused.value.status_code == 413


def spoilt_submit(look: Callable[[Any], None]) -> Check:
    """The submit goes wrong in the way that ``look`` sees, and yet there is a job and it is billed."""

    def check(server: Any) -> None:
        before = server.billing()
        look(server)
        assert newest(server).status == "COMPLETED"
        after = server.billing()
        assert after["jobs_created"] == before["jobs_created"] + 1
        assert after["pages_billed"] == before["pages_billed"] + 1

    return check


def fails_with(error: type[Exception]) -> Callable[[Any], None]:
    def look(server: Any) -> None:
        with pytest.raises(error):
            submit(server)

    return look


def no_id(server: Any) -> None:
    assert submit(server).id is None


def html_instead(server: Any) -> None:
    assert "Bad Gateway" in submit(server)


def slow_submit(server: Any) -> None:
    started = time.monotonic()
    submit(server)
    assert time.monotonic() - started >= 0.2


def ends(look: Callable[[Any], None]) -> Check:
    return lambda server: look(fetch(server, submit(server).id))


def failed(result: Any) -> None:
    assert (result.job.status, result.job.error_message, result.markdown) == ("FAILED", "Parsing failed", None)


def failed_page(result: Any) -> None:
    assert (result.job.status, result.job.usage.credits) == ("COMPLETED", 0)
    assert [(page.page_number, page.success) for page in result.markdown.pages] == [(1, False)]


def pages(count: int) -> Callable[[Any], None]:
    def look(result: Any) -> None:
        assert (result.job.status, len(result.markdown.pages)) == ("COMPLETED", count)

    return look


def no_markdown(result: Any) -> None:
    assert result.markdown is None
    assert result.text.pages[0].text.startswith("Title")


def bad_text(result: Any) -> None:
    assert result.markdown.pages[0].markdown == "NO_CONTENT_HERE"


def no_usage(result: Any) -> None:
    assert (result.job.status, result.job.usage) == ("COMPLETED", None)


def state(word: str) -> Callable[[Any], None]:
    def look(result: Any) -> None:
        assert (result.job.status, result.markdown) == (word, None)

    return look


def found_later(server: Any) -> None:
    job = submit(server)
    with pytest.raises(llama_cloud.NotFoundError):
        fetch(server, job.id)
    deadline, found = time.monotonic() + 5, False
    while not found and time.monotonic() < deadline:
        time.sleep(0.02)
        answer = server.http.get(f"/api/v2/parse/{job.id}", headers={"Authorization": "Bearer k"})
        found = answer.status_code == 200
    assert found


def embed(server: Any, **options: Any) -> Any:
    return server.openai().embeddings.create(model=SMALL, input=["one", "two", "three"], dimensions=8, **options)


def refused_embed(status: int, code: str | None, **headers: str | None) -> Check:
    def check(server: Any) -> None:
        before = server.billing()["embedding_tokens"]
        with pytest.raises(openai.APIStatusError) as refused:
            embed(server)
        assert (refused.value.status_code, refused.value.code) == (status, code)
        for name, value in headers.items():
            assert refused.value.response.headers.get(name.replace("_", "-")) == value
        assert server.billing()["embedding_tokens"] == before

    return check


def spoilt_embed(look: Callable[[Any], None]) -> Check:
    def check(server: Any) -> None:
        before = server.billing()["embedding_tokens"]
        look(server)
        assert server.billing()["embedding_tokens"] == before + 3

    return check


def embed_fails(*errors: type[Exception]) -> Check:
    def look(server: Any) -> None:
        with pytest.raises(errors):
            embed(server)

    return spoilt_embed(look)


def vectors(look: Callable[[list[Any]], None]) -> Check:
    """``look`` sees the rows as floats and again as base64 decoded."""

    def as_floats(server: Any) -> None:
        look([(row.index, row.embedding) for row in embed(server, encoding_format="float").data])

    def as_base64(server: Any) -> None:
        rows = embed(server, encoding_format="base64").data
        look([(row.index, row.embedding and np.frombuffer(base64.b64decode(row.embedding), "<f4")) for row in rows])

    def check(server: Any) -> None:
        spoilt_embed(as_floats)(server)
        spoilt_embed(as_base64)(server)

    return check


def raw(look: Callable[[httpx.Response], bool]) -> Check:
    def ask(server: Any) -> None:
        body = {"model": SMALL, "input": ["one", "two", "three"], "dimensions": 8}
        answer = httpx.post(f"{server.url}/v1/embeddings", json=body, headers={"Authorization": "Bearer k"})
        assert answer.status_code == 200
        assert look(answer)

    return spoilt_embed(ask)


def slow_embed(server: Any) -> None:
    started = time.monotonic()
    embed(server)
    assert time.monotonic() - started >= 0.2


def seen(count: int = 3, order: tuple[int, ...] = (0, 1, 2), first: Callable[[Any], bool] = lambda _: True) -> Check:
    def look(rows: list[Any]) -> None:
        assert len(rows) == count
        assert tuple(index for index, _ in rows) == order
        assert first(rows[0][1])

    return vectors(look)
