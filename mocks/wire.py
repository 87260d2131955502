"""LlamaParse on the wire: the JSON of files, jobs and results, and the refusals in FastAPI's form."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from starlette.responses import Response

from . import jobs
from .answers import detail, retry_after
from .faults import Rule
from .state import File, Job

MAX_FILE_BYTES = 512 * 1024 * 1024
PROJECT = "00000000-0000-4000-8000-000000000000"
LATEST = {
    "fast": "2026-06-15",
    "cost_effective": "2026-09-28",
    "agentic": "2026-10-16",
    "agentic_plus": "2026-09-28",
}
"""What ``latest`` stands for, by tier (llama-cloud 2.19, ``parsing.create``)."""

_VERSION = re.compile(r"latest|\d{4}-\d\d-\d\d")


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def invalid(field: str, message: str, kind: str) -> Response:
    """422 for one field of the request, as FastAPI words it."""
    return detail(422, [{"type": kind, "loc": ["body", field], "msg": message, "input": None}])


def refused_size(file: File) -> Response | None:
    """413 for a file that is larger than the service takes."""
    return detail(413, "File too large") if len(file.data) > MAX_FILE_BYTES else None


def refused_job(body: Any, *, by_id: bool = True) -> Response | None:
    """What is wrong with the options of a job."""
    if not isinstance(body, dict):
        return invalid("body", "Input should be a valid dictionary", "dict_type")
    if body.get("tier") not in jobs.CREDITS_A_PAGE:
        return invalid("tier", f"Input should be one of {', '.join(jobs.CREDITS_A_PAGE)}", "enum")
    if not _VERSION.fullmatch(str(body.get("version", ""))):
        return invalid("version", "Input should be 'latest' or a dated version", "literal_error")
    if by_id and not body.get("file_id"):
        return invalid("file_id", "Field required", "missing")
    metadata = body.get("user_metadata")
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    ):
        return invalid("user_metadata", "Input should be a valid dictionary of strings", "dict_type")
    return None


def ordered_refusal(rule: Rule | None) -> Response | None:
    """The refusal that a fault orders."""
    if rule is None:
        return None
    name = rule.fault.name.partition(".")[2]
    if name == "unprocessable":
        return invalid("tier", "Input should be a valid tier", "enum")
    headers = retry_after(rule) if name == "rate_limit" else None
    status, text = {
        "unauthorized": (401, "Invalid API Key"),
        "payment_required": (402, "You have exceeded the credits of your plan"),
        "too_large": (413, "File too large"),
        "rate_limit": (429, "Rate limit exceeded"),
        "server_error": (500, "Internal Server Error"),
        "unavailable": (503, "Service Unavailable"),
        "poll_error": (500, "Internal Server Error"),
        "fetch_error": (500, "Internal Server Error"),
        "expired": (404, "Job result not found"),
    }[name]
    return detail(status, text, headers)


# ── what is answered ────────────────────────────────────────────────────────────────────────────────────────────────


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def file_json(file: File) -> dict[str, Any]:
    """An uploaded file."""
    return {
        "id": file.id,
        "name": file.name,
        "project_id": PROJECT,
        "external_file_id": file.external_id,
        "file_type": PurePath(file.name).suffix[1:] or None,
        "file_size": len(file.data),
        "last_modified_at": _moment(file.created),
        "purpose": file.purpose,
    }


def job_json(job: Job, status: str, *, usage: bool = False) -> dict[str, Any]:
    """A job in the state ``status``, with the credits it cost when ``usage`` is asked for."""
    return {
        "id": job.id,
        "project_id": PROJECT,
        "status": status,
        "created_at": _moment(job.created),
        "updated_at": _moment(job.settled or job.created),
        "name": job.name,
        "tier": job.tier,
        "error_message": job.error,
        "user_metadata": job.metadata,
        "usage": _usage_json(job) if usage else None,
    }


def _usage_json(job: Job) -> dict[str, float] | None:
    if job.billed is None:
        return None
    withheld: Mapping[str, Any] | None = job.faults.get("llamaparse.usage_null")
    if withheld and (withheld["seconds"] is None or time.time() < (job.settled or 0) + withheld["seconds"]):
        return None
    return {"credits": float(job.billed * jobs.CREDITS_A_PAGE[job.tier])}


def result_json(job: Job, expand: set[str]) -> dict[str, Any]:
    """The parts of the result that ``expand`` names; a failed page stands beside the good ones."""
    good = [page for page in job.pages if "error" not in page]
    markdown = [
        {"page_number": page["page_number"], "success": False, "error": page["error"]}
        if "error" in page
        else {"page_number": page["page_number"], "success": True, "markdown": page["markdown"]}
        for page in job.pages
    ]
    parts: dict[str, Any] = {
        "markdown": None if "llamaparse.no_markdown" in job.faults else {"pages": markdown},
        "markdown_full": "\n\n".join(page["markdown"] for page in good),
        "text": {"pages": [{"page_number": page["page_number"], "text": page["text"]} for page in good]},
        "text_full": "\n\n".join(page["text"] for page in good),
        "metadata": {"pages": [{"page_number": page["page_number"], "confidence": 0.99} for page in good]},
    }
    return {name: part for name, part in parts.items() if name in expand}
