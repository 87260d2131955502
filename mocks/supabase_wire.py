"""Supabase Storage on the wire: its refusals, the JSON of buckets, objects and listings, and an object's bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, BinaryIO

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .answers import BrokenConnectionError, retry_after
from .faults import Rule
from .objects import Bucket, Entry, Stored

BLOCK = 1 << 18
"""Bytes of an object that are in memory at a time."""

_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def refused(status: int, error: str, message: str) -> Response:
    """HTTP 400 with the true status inside; the server's own failures are 500 outside too, and have a code."""
    body = {"statusCode": str(status), "error": error, "message": message}
    return JSONResponse(body | {"code": error}, 500) if status == 500 else JSONResponse(body, 400)


def no_bucket() -> Response:
    """404 for a bucket that is not there, or not for whoever asks."""
    return refused(404, "Bucket not found", "Bucket not found")


def no_object() -> Response:
    """404 for an object that is not there."""
    return refused(404, "not_found", "Object not found")


def too_large() -> Response:
    """413 for an object larger than its bucket takes."""
    return refused(413, "Payload too large", "The object exceeded the maximum allowed size")


def ordered_refusal(rule: Rule | None, *, reads: bool) -> Response | None:
    """The refusal that a fault orders."""
    match rule and rule.fault.name:
        case None:
            return None
        case "storage.refused_key":
            return no_bucket() if reads else refused(403, "Unauthorized", "signature verification failed")
        case "storage.quota":
            return JSONResponse({"code": "exceed_egress_quota", "message": "The quota is exceeded"}, 402)
        case "storage.too_large":
            return too_large()
    assert rule is not None
    return JSONResponse({"message": "The upstream server is currently unavailable"}, 503, retry_after(rule))


# ── what is answered ────────────────────────────────────────────────────────────────────────────────────────────────


class Bytes(Response):
    """An object's bytes, by blocks; cut off or with a wrong byte where a fault asks for it."""

    def __init__(self, stored: Stored, file: BinaryIO, struck: set[str]) -> None:
        super().__init__(headers=headers_of(stored))
        self._file = file
        self._left = stored.size // 2 if "storage.cut" in struck else stored.size
        self._cut = "storage.cut" in struck
        self._corrupt = "storage.corrupt" in struck

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette's
        """Sends them."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while block := self._file.read(min(BLOCK, self._left)):
                self._left -= len(block)
                if self._corrupt:
                    block, self._corrupt = bytes([block[0] ^ 1]) + block[1:], False
                await send({"type": "http.response.body", "body": block, "more_body": True})
        if self._cut:
            raise BrokenConnectionError
        await send({"type": "http.response.body", "body": b""})


def headers_of(stored: Stored) -> dict[str, str]:
    """The headers of an object, with or without its bytes."""
    # HTML is served as text, so that no browser runs it under the service's name.
    return {
        "content-type": "text/plain" if "text/html" in stored.type else stored.type,
        "content-length": str(stored.size),
        "etag": f'"{stored.md5}"',
        "last-modified": formatdate(stored.updated, usegmt=True),
        "cache-control": stored.cache_control,
        "accept-ranges": "bytes",
    }


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):{_MOMENT}}"


def bucket_json(bucket: Bucket) -> dict[str, Any]:
    """A bucket."""
    return {
        "id": bucket.id,
        "name": bucket.id,
        "owner": "",
        "public": bucket.public,
        "file_size_limit": bucket.max_bytes,
        "allowed_mime_types": bucket.types,
        "created_at": _moment(bucket.created),
        "updated_at": _moment(bucket.created),
    }


def info_json(stored: Stored) -> dict[str, Any]:
    """An object without its bytes."""
    return {
        "id": stored.id,
        "name": stored.name,
        "version": stored.version,
        "bucket_id": stored.bucket,
        "size": stored.size,
        "content_type": stored.type,
        "cache_control": stored.cache_control,
        "etag": f'"{stored.md5}"',
        "metadata": {},
        "last_modified": _moment(stored.updated),
        "created_at": _moment(stored.created),
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """A row of a listing; of a folder the name alone."""
    moments = dict.fromkeys(("updated_at", "created_at", "last_accessed_at"))
    if entry.updated is None or entry.created is None:
        return {"name": entry.entry, "id": None, **moments, "metadata": None}
    updated, created = _moment(entry.updated), _moment(entry.created)
    metadata = {
        "eTag": f'"{entry.md5}"',
        "size": entry.size,
        "mimetype": entry.type,
        "cacheControl": entry.cache_control,
        "lastModified": updated,
        "contentLength": entry.size,
        "httpStatusCode": 200,
    }
    moments |= {"updated_at": updated, "created_at": created, "last_accessed_at": created}
    return {"name": entry.entry, "id": entry.id, **moments, "metadata": metadata}
