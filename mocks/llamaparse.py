"""LlamaParse's file and parse endpoints (v2), as the llama_cloud clients 2.x and 0.1.46 call them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import jobs
from .answers import detail, spoil
from .faults import Effect, Subject
from .services import Call, bearer_key
from .state import File
from .wire import LATEST, PROJECT, file_json, invalid, job_json, ordered_refusal, refused_job, refused_size, result_json

PAGE_SIZE = 50
"""The rows of a list's page, unless asked otherwise."""

_FINAL = ("COMPLETED", "FAILED", "CANCELLED")
_RESULTS = {"markdown", "text", "metadata", "markdown_full", "text_full"}


def _with_key(answer: Callable[[Request, Call], Awaitable[Response]]) -> Callable[[Request, Call], Awaitable[Response]]:
    """``answer`` for requests that carry a key; keys that begin with ``bad-`` or ``sk-bad`` are refused."""

    async def checked(request: Request, call: Call) -> Response:
        key = bearer_key(request)
        if not key:
            return detail(401, "Not authenticated")
        if key.startswith(("bad-", "sk-bad")):
            return detail(401, "Invalid API Key")
        return await answer(request, call)

    return checked


@_with_key
async def upload_file(request: Request, call: Call) -> Response:
    """POST /api/v1/beta/files (2.x) and /api/v1/files (0.1.46)."""
    async with request.form() as form:
        file = await _uploaded(form, request)
    if file is None:
        return invalid("file", "Field required", "missing")
    if refusal := ordered_refusal(call.draw(_subject(file))) or refused_size(file):
        return refusal
    call.services.state.add_file(file)
    return await spoil(JSONResponse(file_json(file)), call.struck)


@_with_key
async def create_job(request: Request, call: Call) -> Response:
    """POST /api/v2/parse: the job of a file uploaded before."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return invalid("body", "JSON decode error", "json_invalid")
    file = call.services.state.file(str(body.get("file_id"))) if isinstance(body, dict) else None
    if refusal := refused_job(body):
        return refusal
    if file is None:
        return detail(404, "File not found")
    return await _accept(call, file, body)


@_with_key
async def upload_and_create_job(request: Request, call: Call) -> Response:
    """POST /api/v2/parse/upload: file and options in one multipart request."""
    async with request.form() as form:
        file = await _uploaded(form, request)
        configuration = form.get("configuration", "")
    if file is None:
        return invalid("file", "Field required", "missing")
    try:
        body = json.loads(str(configuration))
    except ValueError:
        return invalid("configuration", "JSON decode error", "json_invalid")
    if refusal := refused_job(body, by_id=False) or refused_size(file):
        return refusal
    call.services.state.add_file(file)
    return await _accept(call, file, body)


async def _accept(call: Call, file: File, body: dict[str, Any]) -> Response:
    if refusal := ordered_refusal(call.draw(_subject(file))):
        return refusal
    faults = {rule.fault.name: rule.options for rule in call.struck if rule.fault.effect is Effect.JOB}
    job = jobs.accept(call.services, file, body, faults)
    return await spoil(JSONResponse(job_json(job, "PENDING")), call.struck)


@_with_key
async def get_job(request: Request, call: Call) -> Response:
    """GET /api/v2/parse/{id}: the job, and of its result what ``expand`` names."""
    job = call.services.state.job(request.path_params["id"])
    if job is None or time.time() < job.created + job.faults.get("llamaparse.not_found_yet", {}).get("seconds", 0):
        return detail(404, "Job not found")
    job = await jobs.settle(call.services, job)
    expand = {name.strip() for value in request.query_params.getlist("expand") for name in value.split(",")}
    if job.ended == "COMPLETED" and expand & _RESULTS:
        call.operation = "fetch"
    if refusal := ordered_refusal(call.draw(Subject(job.sha, (job.name,)))):
        return refusal
    answer = {"job": job_json(job, jobs.status(job), usage="usage" in expand)}
    unknown = [rule.options["state"] for rule in call.struck if rule.fault.name == "llamaparse.unknown_state"]
    if unknown:
        answer["job"]["status"] = unknown[0]
    elif job.ended == "COMPLETED":
        answer |= result_json(job, expand)
    return await spoil(JSONResponse(answer), call.struck)


@_with_key
async def list_jobs(request: Request, call: Call) -> Response:
    """GET /api/v2/parse: the jobs, the newest first, by pages."""
    query = request.query_params
    try:
        size = min(int(query.get("page_size", PAGE_SIZE)), 1000)
        before = int(query.get("page_token", "0")) or None
        since, until = (_timestamp(query.get(f"created_at_on_or_{end}")) for end in ("after", "before"))
    except ValueError as wrong:
        return invalid("query", str(wrong), "value_error")
    if refusal := ordered_refusal(call.draw(Subject("list"))):
        return refusal
    await jobs.settle_due(call.services)
    wanted = set(query.getlist("job_ids"))
    found = [
        job
        for job in call.services.state.jobs()
        if (since is None or job.created >= since)
        and (until is None or job.created <= until)
        and (not wanted or job.id in wanted)
        and (query.get("status") in (None, jobs.status(job)))
    ]
    rest = [job for job in found if before is None or job.seq < before]
    page = rest[:size]
    token = str(page[-1].seq) if len(rest) > size else None
    rows = [job_json(job, jobs.status(job), usage=True) for job in page]
    return await spoil(JSONResponse({"items": rows, "next_page_token": token, "total_size": len(found)}), call.struck)


@_with_key
async def cancel_job(request: Request, call: Call) -> Response:
    """POST /api/v2/parse/{id}/cancel: a job that has not ended ends here, unbilled."""
    job = call.services.state.job(request.path_params["id"])
    if refusal := ordered_refusal(call.draw(Subject(request.path_params["id"]))):
        return refusal
    if job is None:
        return detail(404, "Job not found")
    job = await jobs.settle(call.services, job)
    if job.ended:
        return detail(409, f"Job is already {job.ended}")
    call.services.state.end_job(job.id, "CANCELLED")
    return await spoil(JSONResponse(job_json(job, "CANCELLED")), call.struck)


@_with_key
async def delete_job(request: Request, call: Call) -> Response:
    """DELETE /api/v2/parse/{id}: an ended job is no longer found; its bill stays."""
    job = call.services.state.job(request.path_params["id"])
    if refusal := ordered_refusal(call.draw(Subject(request.path_params["id"]))):
        return refusal
    if job is None:
        return detail(404, "Job not found")
    job = await jobs.settle(call.services, job)
    if job.ended not in _FINAL:
        return detail(409, "Cancel the job before deleting it")
    call.services.state.delete_job(job.id)
    return await spoil(JSONResponse({"id": job.id, "project_id": PROJECT}), call.struck)


@_with_key
async def list_versions(request: Request, call: Call) -> Response:  # noqa: ARG001
    """GET /api/v2/parse/versions."""
    if refusal := ordered_refusal(call.draw(Subject("versions"))):
        return refusal
    return JSONResponse({**{tier: [version] for tier, version in LATEST.items()}, "latest": LATEST})


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _uploaded(form: FormData, request: Request) -> File | None:
    upload = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if upload is None:
        return None
    data = await upload.read()
    given = {**request.query_params, **{name: value for name, value in form.items() if isinstance(value, str)}}
    return File(
        id=f"dfl-{uuid4()}",
        name=upload.filename or "file",
        external_id=given.get("external_file_id"),
        purpose=given.get("purpose"),
        sha=sha256(data).hexdigest(),
        data=data,
        created=time.time(),
    )


def _subject(file: File) -> Subject:
    """A file by its bytes; ``match=`` looks into its name, and into its text where the bytes are text."""
    is_text = PurePath(file.name).suffix.lower() in (".md", ".txt", ".html", ".htm")
    return Subject(file.sha, (file.name, file.data.decode("utf-8", "ignore") if is_text else ""))


def _timestamp(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
