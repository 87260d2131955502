"""The life of a parse job: accepted, running, ended once, with a result made from the file's real text."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool

from docproc.errors import PermanentError
from docproc.parsers.extraction import extract

from .services import Services
from .state import File, Job

CREDITS_A_PAGE = {"fast": 1, "cost_effective": 3, "agentic": 10, "agentic_plus": 45}

_NEVER = 1e12
"""When a stuck job is ready: a time that no clock here will show."""

_PENDING_SHARE = 0.25
"""The part of the processing delay that a job spends in PENDING."""

_NOT_CACHED_BY = ("file_id", "user_metadata", "disable_cache", "client_name", "webhook_configurations")
_locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


def accept(services: Services, file: File, body: Mapping[str, Any], faults: Mapping[str, Mapping[str, Any]]) -> Job:
    """The new job for ``file`` with the request's options; equal to an ended job of the last 48 hours, it is free."""
    now = time.time()
    options = {name: value for name, value in body.items() if name not in _NOT_CACHED_BY and value is not None}
    cache_key = sha256(f"{file.sha} {json.dumps(options, sort_keys=True)}".encode()).hexdigest()
    use_cache = not body.get("disable_cache")
    if not use_cache:
        faults = {name: given for name, given in faults.items() if name != "llamaparse.cached_failure"}
    origin = services.state.cached(cache_key, now) if use_cache else None
    metadata = body.get("user_metadata")
    job = Job(
        seq=0,
        id=f"pjb-{uuid4()}",
        file_id=file.id,
        name=file.name,
        sha=file.sha,
        tier=body["tier"],
        metadata=metadata,
        client_ref=(metadata or {}).get("client_ref") or file.external_id or "",
        cache_key=cache_key,
        origin=origin.id if origin else None,
        faults=faults,
        created=now,
        ready=_ready_at(services, faults, now, cached=origin is not None),
    )
    services.state.add_job(job)
    return job


def _ready_at(services: Services, faults: Mapping[str, Mapping[str, Any]], now: float, *, cached: bool) -> float:
    if "llamaparse.stuck" in faults:
        return _NEVER
    if cached or "llamaparse.cached_failure" in faults:
        return now
    late = faults.get("llamaparse.late", {}).get("seconds", 0.0)
    return now + services.processing_delay + float(late)


def status(job: Job) -> str:
    """The state that the API shows; a job whose time has come must be settled before."""
    if job.ended:
        return job.ended
    if stuck := job.faults.get("llamaparse.stuck"):
        return str(stuck["state"])
    pending = job.created + (job.ready - job.created) * _PENDING_SHARE
    return "PENDING" if time.time() < pending else "RUNNING"


async def settle_due(services: Services) -> None:
    """Ends every job whose time has come, whether anyone asked for it or not."""
    for job in services.state.due_jobs(time.time()):
        await settle(services, job)


async def settle(services: Services, job: Job) -> Job:
    """``job`` as it stands now: ended, with its result stored and billed, when its time has come; once only."""
    if job.ended or job.ready > time.time():
        return job
    async with _locks[job.id]:
        job = services.state.job(job.id) or job
        if not job.ended:
            await _end(services, job)
    _locks.pop(job.id, None)
    return services.state.job(job.id) or job


async def _end(services: Services, job: Job) -> None:
    origin = services.state.job(job.origin) if job.origin else None
    if origin is not None and origin.ended:
        services.state.end_job(job.id, origin.ended, error=origin.error, pages=origin.pages)
        return
    for fault in ("llamaparse.failed", "llamaparse.cached_failure"):
        if fault in job.faults:
            services.state.end_job(job.id, "FAILED", error=job.faults[fault]["message"])
            return
    result = await run_in_threadpool(_parse, services, job, services.state.file(job.file_id))
    if result.error:
        services.state.end_job(job.id, "FAILED", error=result.error)
    else:
        services.state.end_job(job.id, "COMPLETED", pages=result.pages, billed=result.billed)


@dataclass(frozen=True, slots=True)
class _Result:
    pages: tuple[Mapping[str, Any], ...] = field(default=())
    billed: int = 0
    error: str | None = None


def _parse(services: Services, job: Job, file: File | None) -> _Result:
    """The pages of the file's own text, as the job's faults change them; failed pages are not billed."""
    if file is None:
        return _Result(error="The source file is no longer available")
    try:
        extracted = extract(file.data, PurePath(file.name).suffix)
    except PermanentError as unreadable:
        return _Result(error=f"Parsing failed: {unreadable}")
    pages = [_page(page.number, _varied(page.markdown, services, job.sha)) for page in extracted]
    faults = job.faults
    billed = len(pages)
    if failed := faults.get("llamaparse.failed_pages"):
        for at in _chosen(len(pages), failed["pages"], f"{services.faults.seed} {job.sha}"):
            pages[at] = {"page_number": at + 1, "error": "Page processing failed"}
            billed -= 1
    if bad := faults.get("llamaparse.bad_text"):
        pages = [_page(page["page_number"], bad["text"]) for page in pages]
    if missing := faults.get("llamaparse.missing_pages"):
        pages = pages[: max(0, len(pages) - missing["pages"])]
    if extra := faults.get("llamaparse.extra_pages"):
        pages += [_page(len(pages) + at, "A page that the file does not have.") for at in range(1, extra["pages"] + 1)]
    return _Result(tuple(pages), billed)


def _page(number: int, markdown: str) -> dict[str, Any]:
    return {"page_number": number, "markdown": markdown, "text": _plain(markdown)}


def _plain(markdown: str) -> str:
    """The text without the most common marks of Markdown."""
    text = re.sub(r"^#{1,6} |^\|(?: ?:?-+:? ?\|)+\n|\*\*|^```\w*\n?", "", markdown, flags=re.MULTILINE)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def _varied(markdown: str, services: Services, sha: str) -> str:
    """``markdown`` followed by more of itself: up to ``size_variation`` of its length, the same for the same file."""
    if not services.size_variation:
        return markdown
    digest = blake2b(f"{services.faults.seed} {sha}".encode(), digest_size=8).digest()
    more = int(len(markdown) * services.size_variation * int.from_bytes(digest) / 2**64)
    repeated = (markdown + "\n\n") * (more // max(1, len(markdown)) + 1)
    return f"{markdown}\n\n{repeated[:more]}".rstrip()


def _chosen(count: int, wanted: int, seed: str) -> list[int]:
    """``wanted`` of ``count`` positions, determined by ``seed``."""
    order = sorted(range(count), key=lambda at: blake2b(f"{seed} {at}".encode(), digest_size=8).digest())
    return sorted(order[:wanted])
