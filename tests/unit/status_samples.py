"""What a look at the database returned, fixed in every value: the samples from which the screens of status are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from docproc.status import Snapshot
from docproc.status.taking import read
from docproc.status.timeline import priced

AT = datetime(2026, 11, 23, 15, 40, tzinfo=UTC)
TITLE = "production · rag@db.internal/rag"

Rows = dict[str, list[dict[str, Any]]]

FACTS = {
    "at": AT,
    "schema_version": 3,
    "chunks_estimated": 48_120,
    "chunk_bytes": 182_400_000,
    "vectors_estimated": 47_900,
    "vector_bytes": 690_100_000,
    "embed_model": "text-embedding-3-small",
    "embed_version": "d1536-f1",
    "index_kind": "hnsw",
    "index_whole": True,
    "parser_kind": "real",
    "embedder_kind": "real",
}

REMEDIES = {
    "parse.timeout": "see the provider's status page; then docproc retry --resubmit --code parse.timeout",
    "validate.empty": "see whether the file is blank; a scan may need a higher tier ([parser] tier)",
    "embed.rejected": "the provider refuses this text; see the message",
}


def ago(**time: float) -> datetime:
    return AT - timedelta(**time)


def counted(status: str, documents: int, oldest: float) -> dict[str, Any]:
    return {"status": status, "documents": documents, "jobs": documents, "oldest": oldest}


def change(seconds: float, name: str, before: str | None, after: str, code: str | None = None) -> dict[str, Any]:
    document = "0f3c9a52-6a1e-5d0c-9d5b-4c2f7b1e8a90"
    moved = {"from_status": before, "to_status": after, "code": code, "document_id": document}
    return {"at": ago(seconds=seconds), "source": f"/srv/documents/{name}", **moved}


def failure(code: str, documents: int, *states: str) -> dict[str, Any]:
    return {"code": code, "documents": documents, "jobs": documents, "states": list(states), "remedy": REMEDIES[code]}


def empty() -> Rows:
    nothing = {"jobs": 0, "complete": 0, "failed": 0, "average_minutes": None}
    facts = {**FACTS, "chunks_estimated": None, "chunk_bytes": 41_000, "vectors_estimated": None}
    facts |= {"vector_bytes": 24_600, "embed_model": None, "embed_version": None, "index_kind": None}
    facts |= {"index_whole": None, "parser_kind": None, "embedder_kind": None}
    names = ("count_documents", "claims", "waiting", "state_latencies", "throughput", "latest_changes")
    rest: Rows = {name: [] for name in (*names, "failures_by_code", "bought", "status_runs")}
    return {"status_facts": [facts], "last_day": [nothing], **rest}


LATENCIES = {
    "uploaded": (2.1, 9.8),
    "parse_queued": (38.2, 192.0),
    "parsed": (0.04, 0.09),
    "parse_validated": (0.2, 0.9),
    "chunks_stored": (0.1, 0.4),
    "embedding_queued": (0.3, 2.2),
    "embedding_in_progress": (0.8, 4.1),
    "embeddings_stored": (0.02, 0.05),
}


def running() -> Rows:
    """Three workers on two hosts, some documents that wait for the parser."""
    rows = empty()
    rows["status_facts"] = [dict(FACTS)]
    rows["count_documents"] = [
        counted("uploaded", 5, 1320.0),
        counted("parse_queued", 12, 250.0),
        counted("parse_validated", 2, 1.2),
        counted("embedding_in_progress", 7, 9.4),
        counted("complete", 1247, 900_000.0),
    ]
    owners = ("app-1-0a1b2c3d4e:71:1:a", "app-1-0a1b2c3d4e:72:2:b", "app-2-5f6a7b8c9d:40:3:c")
    held = {"stale": 0, "stale_for": None}
    rows["claims"] = [{"status": "embedding_in_progress", "owner": o, "jobs": 2, **held} for o in owners]
    rows["waiting"] = [
        {"status": "uploaded", "jobs": 5, "next_due": 180.0},
        {"status": "parse_queued", "jobs": 12, "next_due": 12.0},
    ]
    rows["state_latencies"] = [{"status": name, "p": list(times)} for name, times in LATENCIES.items()]
    done = (170, 190, 205, 160, 240, 310, 388, 402, 350, 215, 120, 30)
    rows["throughput"] = [{"part": n, "documents": count, "first": 300.0 * (n + 1)} for n, count in enumerate(done)]
    rows["last_day"] = [{"jobs": 1_284, "complete": 1_247, "failed": 0, "average_minutes": 0.93}]
    names = ("contract-118.pdf", "report-2026-05.docx", "very/deep/site survey of the northern harbour, part 4.pdf")
    steps = (("embedding_in_progress", "embeddings_stored"), ("parse_queued", "parsed"), (None, "uploaded"))
    rows["latest_changes"] = [change(3.0 * n, names[n % 3], *steps[n % 3]) for n in range(10)]
    rows["bought"] = [
        {"unit": "page", "calls": 310, "units": 1_090, "unknown": 12},
        {"unit": "token", "calls": 96, "units": 1_610_000, "unknown": 0},
    ]
    began = {"command": "run-all", "started_at": ago(minutes=31), "finished_at": None, "exit_code": None}
    good = {"command": "run-all", "started_at": ago(hours=25), "finished_at": ago(hours=24), "exit_code": 0}
    rows["status_runs"] = [{"which": "last", **began}, {"which": "well", **good}]
    return rows


def failing() -> Rows:
    """Nobody works any more, and eleven documents have failed."""
    rows = running()
    counts = [row for row in rows["count_documents"] if row["status"] != "embedding_in_progress"]
    failed = [counted("failed_parse", 10, 172_800.0), counted("failed_embedding", 1, 93_600.0)]
    rows["count_documents"] = counts + failed
    stale = {"status": "parse_validated", "owner": "app-3-0a1b2c3d4e:9:1:d", "jobs": 2, "stale": 2}
    rows["claims"] = [{**stale, "stale_for": 4000.0}]
    rows["failures_by_code"] = [
        failure("parse.timeout", 6, "failed_parse"),
        failure("validate.empty", 4, "failed_parse"),
        failure("embed.rejected", 1, "failed_embedding"),
    ]
    rows["throughput"] = []
    rows["last_day"] = [{"jobs": 1_284, "complete": 1_247, "failed": 11, "average_minutes": 3.6}]
    ended = {"command": "run-all", "started_at": ago(hours=2), "finished_at": ago(minutes=66), "exit_code": 3}
    rows["status_runs"] = [{"which": "last", **ended}, rows["status_runs"][1]]
    facts = {**FACTS, "index_whole": False}
    return {**rows, "status_facts": [facts]}


def snapshot(rows: Rows) -> Snapshot:
    return read(rows, title=TITLE, user="default", model="text-embedding-3-small", tier="cost_effective")


def listed() -> list[dict[str, Any]]:
    """Documents as ``--failed`` lists them."""
    common = {"attempt": 1, "worker": None, "due_in": None}
    document = "0f3c9a52-6a1e-5d0c-9d5b-4c2f7b1e8a90"
    return [
        {
            **common,
            "document_id": document,
            "source": f"/srv/documents/{name}",
            "status": status,
            "seconds": seconds,
            "code": code,
            "what": what,
            "why": why,
            "remedy": REMEDIES[code],
        }
        for name, status, seconds, code, what, why in (
            ("tender-7.pdf", "failed_parse", 172_800.0, "parse.timeout", "the parse took too long", "40 minutes"),
            ("scan-0043.pdf", "failed_parse", 93_600.0, "validate.empty", "no text", "12 pages, none with text"),
            ("log.txt", "failed_embedding", 3_720.0, "embed.rejected", "the request was refused", ""),
        )
    ]


def document() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A job that was tried twice and failed, with pages that are not there, and its history with costs."""
    worker = "app-1-0a1b2c3d4e:71:1:a"
    error = {"code": "validate.pages_missing", "what": "2 of 14 pages are missing", "why": "pages 5 and 9"}
    error["remedy"] = "raise [validate] max_missing_pages, then docproc retry; status DOCUMENT shows the pages"
    pages = {"total": 14, "characters": [2200, 3100, 2900, 400, None, 3300, 2800, 0, None, 2600, 3000, 2400, 900, 120]}
    pages |= {"failed": {}, "missing": [5, 9], "bad_text": [], "pages_a_number": 1}
    progress = {"pages": pages, "pages_total": 14, "pages_failed": 0, "pages_missing": 2, "characters": 26_720}
    job: dict[str, Any] = {
        "job_id": "j",
        "document_id": "0f3c9a52-6a1e-5d0c-9d5b-4c2f7b1e8a90",
        "source": "/srv/documents/tender-7.pdf",
    }
    job |= {"raw_bytes": 1_240_000, "chunks_version": "markdown-simple@1", "embed_model": "text-embedding-3-small"}
    job |= {"progress": progress, "last_error": error, "asked_at": AT}
    steps: list[tuple[float, str | None, str, str | None, str | None]] = [
        (8000, None, "uploaded", None, None),
        (7990, "uploaded", "parse_queued", None, None),
        (7900, "parse_queued", "parse_queued", None, "the parse is not ready"),
        (7800, "parse_queued", "parsed", None, None),
        (7799.8, "parsed", "failed_parse", "validate.pages_missing", "pages 5 and 9"),
    ]
    history = [
        {"at": ago(seconds=at), "from_status": before, "to_status": after, "seconds": 1.0, "worker": worker}
        | {"attempt": 1, "code": code, "note": note}
        for at, before, after, code, note in steps
    ]
    call: dict[str, Any] = {"started_at": ago(seconds=7995), "unit": "page", "units": 12, "jobs": 1}
    return job, priced(history, [call], model="text-embedding-3-small", tier="cost_effective")
