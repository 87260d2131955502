"""Supabase Storage's REST API with its oddities: nearly every refusal is a 400 that tells the true status inside."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .answers import spoil
from .faults import Subject
from .objects import Bucket, Incoming
from .services import Answer, Call, bearer_key
from .supabase_wire import (
    BLOCK,
    Bytes,
    bucket_json,
    entry_json,
    headers_of,
    info_json,
    no_bucket,
    no_object,
    ordered_refusal,
    refused,
    too_large,
)

PAGE = 100
MAX_PAGE = 1500
"""Entries of a listing: unless asked otherwise, and at most."""

_BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$@=;:+,?-]{1,63}")
_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$@=;:+,?/-]+")

Asked = Callable[[Request, Call, Bucket], Awaitable[Response]]


# ── who is let in ───────────────────────────────────────────────────────────────────────────────────────────────────


def _refused_key(request: Request, *, reads: bool, public: bool) -> Response | None:
    """What becomes of a request without a good key: where it reads, it is not even told that there is a bucket."""
    key = bearer_key(request)
    if key and not key.startswith(("bad-", "sk-bad")):
        return None
    if reads:
        return None if public else no_bucket()
    if not key:
        return refused(400, "Error", "headers must have required property 'authorization'")
    return refused(403, "Unauthorized", "jwt malformed")


def _with_bucket(answer: Asked, *, reads: bool = False) -> Answer:
    """``answer`` for requests with a good key, that no fault strikes, to a bucket that exists."""

    async def checked(request: Request, call: Call) -> Response:
        name = request.path_params["bucket"]
        bucket = call.services.state.objects.bucket(name)
        path = "/".join((name, request.path_params.get("name", "")))
        refusal = _refused_key(request, reads=reads, public=bucket is not None and bucket.public)
        refusal = refusal or ordered_refusal(call.draw(Subject(path, (path,))), reads=reads)
        if refusal or bucket is None:
            # An answer before the end of an upload would break the client's connection.
            async for _ in request.stream():
                continue
            return refusal or no_bucket()
        return await spoil(await answer(request, call, bucket), call.struck)

    return checked


def _with_key(answer: Answer) -> Answer:
    """``answer`` for requests with a good key that no fault strikes."""

    async def checked(request: Request, call: Call) -> Response:
        about = f"{request.url.path} {(await request.body()).decode('utf-8', 'replace')}"
        refusal = _refused_key(request, reads=False, public=False)
        refusal = refusal or ordered_refusal(call.draw(Subject(about, (about,))), reads=False)
        return refusal or await answer(request, call)

    return checked


# ── buckets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _create_bucket(request: Request, call: Call) -> Response:
    """POST /bucket."""
    body = await _object_of(request)
    name = body.get("id") or body.get("name")
    limit, types = body.get("file_size_limit"), body.get("allowed_mime_types")
    if not isinstance(name, str) or not _BUCKET_NAME.fullmatch(name):
        return refused(400, "Invalid Input", "Bucket name invalid")
    if not isinstance(limit, int | None) or not isinstance(types, list | None):
        return refused(400, "Error", "body/file_size_limit must be integer, body/allowed_mime_types must be array")
    bucket = Bucket(name, body.get("public") is True, limit, None if types is None else tuple(map(str, types)))
    if not call.services.state.objects.add_bucket(bucket):
        return refused(409, "Duplicate", "The resource already exists")
    return JSONResponse({"name": name})


async def _list_buckets(request: Request, call: Call) -> Response:  # noqa: ARG001
    """GET /bucket."""
    return JSONResponse([bucket_json(bucket) for bucket in call.services.state.objects.buckets()])


async def _get_bucket(request: Request, call: Call, bucket: Bucket) -> Response:  # noqa: ARG001
    """GET /bucket/{bucket}."""
    return JSONResponse(bucket_json(bucket))


# ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _upload(request: Request, call: Call, bucket: Bucket) -> Response:
    """POST and PUT /object/{bucket}/{name}: the bytes as they are, or in a form."""
    name, objects = request.path_params["name"], call.services.state.objects
    upsert = request.method == "PUT" or request.headers.get("x-upsert") == "true"
    with objects.receive() as incoming:
        type_, cache_control = await _receive(request, incoming)
        if not _NAME.fullmatch(name):
            return refused(400, "InvalidKey", f"Invalid key: {name}")
        if bucket.types and type_.partition(";")[0] not in bucket.types:
            return refused(415, "invalid_mime_type", f"mime type {type_} is not supported")
        if bucket.max_bytes is not None and incoming.size > bucket.max_bytes:
            return too_large()
        if not upsert and objects.find(bucket.id, name):
            return refused(409, "Duplicate", "The resource already exists")
        stored = objects.keep(incoming, bucket.id, name, type_, cache_control)
    return JSONResponse({"Key": f"{bucket.id}/{name}", "Id": stored.id})


async def _receive(request: Request, incoming: Incoming) -> tuple[str, str]:
    """Takes the bytes in; their media type and how long they may be cached. A client that leaves raises."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form() as form:
            file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
            while file and (block := await file.read(BLOCK)):
                incoming.write(block)
            seconds = form.get("cacheControl")
            type_ = file.content_type if file else None
        return type_ or "application/octet-stream", f"max-age={seconds}" if seconds else "no-cache"
    async for block in request.stream():
        incoming.write(block)
    headers = request.headers
    return headers.get("content-type", "application/octet-stream"), headers.get("cache-control", "no-cache")


async def _download(request: Request, call: Call, bucket: Bucket) -> Response:
    """GET /object/{bucket}/{name}, and the same under /object/authenticated."""
    stored = call.services.state.objects.find(bucket.id, request.path_params["name"])
    if stored is None:
        return no_object()
    struck = {rule.fault.name for rule in call.struck}
    return Bytes(stored, call.services.state.objects.open(stored), struck)


async def _look(request: Request, call: Call, bucket: Bucket) -> Response:
    """HEAD /object/{bucket}/{name}, and the same under /object/authenticated."""
    stored = call.services.state.objects.find(bucket.id, request.path_params["name"])
    return no_object() if stored is None else Response(headers=headers_of(stored))


async def _info(request: Request, call: Call, bucket: Bucket) -> Response:
    """GET /object/info/{bucket}/{name}."""
    stored = call.services.state.objects.find(bucket.id, request.path_params["name"])
    return no_object() if stored is None else JSONResponse(info_json(stored))


async def _delete(request: Request, call: Call, bucket: Bucket) -> Response:
    """DELETE /object/{bucket}/{name}."""
    removed = call.services.state.objects.remove(bucket.id, [request.path_params["name"]])
    return JSONResponse({"message": "Successfully deleted"}) if removed else no_object()


async def _delete_many(request: Request, call: Call, bucket: Bucket) -> Response:
    """DELETE /object/{bucket}: the objects named in the body, as far as there are any."""
    names = (await _object_of(request)).get("prefixes")
    if not isinstance(names, list) or not names:
        return refused(400, "Error", "body must have required property 'prefixes'")
    return JSONResponse([info_json(stored) for stored in call.services.state.objects.remove(bucket.id, names)])


async def _list(request: Request, call: Call) -> Response:
    """POST /object/list/{bucket}: one folder; that a bucket does not exist is not told."""
    body = await _object_of(request)
    prefix, sort = body.get("prefix"), body.get("sortBy") or {}
    if not isinstance(prefix, str):
        return refused(400, "Error", "body must have required property 'prefix'")
    try:
        entries = call.services.state.objects.entries(
            request.path_params["bucket"],
            f"{prefix}/" if prefix and not prefix.endswith("/") else prefix,
            limit=min(int(body.get("limit") or PAGE), MAX_PAGE),
            offset=int(body.get("offset") or 0),
            column=sort.get("column") or "name",
            order=sort.get("order") or "asc",
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return refused(400, "Error", "body/limit, body/offset or body/sortBy is not as it should be")
    return await spoil(JSONResponse([entry_json(entry) for entry in entries]), call.struck)


async def _object_of(request: Request) -> dict[str, Any]:
    """The JSON object of the request's body, an empty one where it is none."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


# ── routes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_OBJECT, _SAME = "object/{bucket}/{name:path}", "object/authenticated/{bucket}/{name:path}"

ROUTES: tuple[tuple[str, str, str, Answer], ...] = (
    ("bucket", "POST", "bucket", _with_key(_create_bucket)),
    ("bucket", "GET", "bucket", _with_key(_list_buckets)),
    ("bucket/{bucket}", "GET", "bucket", _with_bucket(_get_bucket)),
    ("object/list/{bucket}", "POST", "listing", _with_key(_list)),
    ("object/info/{bucket}/{name:path}", "GET", "head", _with_bucket(_info, reads=True)),
    (_SAME, "HEAD", "head", _with_bucket(_look)),
    (_SAME, "GET", "get", _with_bucket(_download)),
    (_OBJECT, "HEAD", "head", _with_bucket(_look, reads=True)),
    (_OBJECT, "GET", "get", _with_bucket(_download, reads=True)),
    (_OBJECT, "POST", "put", _with_bucket(_upload)),
    (_OBJECT, "PUT", "put", _with_bucket(_upload)),
    (_OBJECT, "DELETE", "remove", _with_bucket(_delete)),
    ("object/{bucket}", "DELETE", "remove", _with_bucket(_delete_many)),
)
"""Path below /storage/v1, method, operation and what answers; HEAD before GET, which would answer it too."""
