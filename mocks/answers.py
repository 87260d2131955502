"""The answers that are the same whoever gives them: spoilt ones, late ones and the two services' refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from .faults import Effect, Rule

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


class BrokenConnectionError(Exception):
    """Ends the connection in the middle of an answer."""


def retry_after(rule: Rule) -> dict[str, str]:
    """The header that the rule asks for, if any; whole seconds are written without a point."""
    seconds = rule.options["retry_after"]
    return {} if seconds is None else {"retry-after": f"{seconds:g}"}


async def spoil(answer: Response, rules: list[Rule]) -> Response:
    """``answer`` as the rules that strike the way back make it: late, empty, cut off, of another type."""
    spoilt = answer
    for rule in rules:
        if rule.fault.effect is not Effect.SPOIL:
            continue
        kind = rule.fault.name.partition(".")[2]
        if kind == "slow":
            await asyncio.sleep(rule.options["seconds"])
        elif kind == "error_after_accept":
            spoilt = detail(500, "Internal Server Error")
        elif kind == "empty_answer":
            spoilt = JSONResponse({})
        elif kind == "html_answer":
            spoilt = HTMLResponse(HTML)
        elif kind == "truncated":
            spoilt = Response(bytes(answer.body[: len(answer.body) // 2]), media_type="application/json")
        elif kind == "reset":
            spoilt = StreamingResponse(_half(bytes(answer.body)), media_type="application/json")
            spoilt.headers["content-length"] = str(len(answer.body))
    return spoilt


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise BrokenConnectionError


def detail(status: int, text: Any, headers: dict[str, str] | None = None) -> JSONResponse:
    """LlamaParse's refusal, in FastAPI's form."""
    return JSONResponse({"detail": text}, status, headers)


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """OpenAI's refusal."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": code}}, status, headers)
