"""What docproc told of a run: its counts against those of the tables, and its words against what must stay secret."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from docproc.states import FAILED, State
from tests.e2e.tables import Tables

KEYS = {"LLAMA_CLOUD_API_KEY": "llx-canary-5e1d9c", "OPENAI_API_KEY": "sk-canary-7b20af"}

TEXTS = "document_chunk_buffer"
"""The one table in which the text of documents belongs."""

_LAST = "SELECT DISTINCT ON (job_id) to_status, code FROM docproc.job_events ORDER BY job_id, event_id DESC"
_FINISHED = (
    "SELECT r.exit_code, (r.summary ->> 'done')::int, (r.summary ->> 'failed')::int,"
    "       count(e.job_id) FILTER (WHERE e.to_status = 'complete'),"
    "       count(e.job_id) FILTER (WHERE e.to_status LIKE 'failed%%')"
    "  FROM docproc.runs r LEFT JOIN docproc.job_events e ON e.worker = r.worker AND e.from_status <> e.to_status"
    " WHERE r.exit_code IS NOT NULL GROUP BY r.run_id"
)
_PROGRESS = (
    "SELECT j.job_id, (j.progress ->> 'chunks_total')::int, (j.progress ->> 'embeds_total')::int,"
    "       (j.progress ->> 'embeds_done')::int, count(c.chunk_id), count(v.chunk_id)"
    "  FROM docproc.upload_jobs j LEFT JOIN docproc.document_chunk_buffer c USING (document_id)"
    "  LEFT JOIN docproc.document_vector_buffer v USING (chunk_id) WHERE j.status = 'complete' GROUP BY j.job_id"
)
_DONE = re.compile(r"^done (\d+) .*exit (\d+)$")


def assert_counts_are_true(run: Callable[..., subprocess.CompletedProcess[str]], tables: Tables) -> None:
    """I5: what ``status``, called by ``run``, prints is what the history and the tables say, counted in another way."""
    last = tables.rows(_LAST)
    states = Counter(status for status, _ in last)
    answer = json.loads(run("status", "--json").stdout)
    assert {name: row["jobs"] for name, row in answer["states"].items() if row["jobs"]} == dict(states)
    assert answer["jobs"] == len(last) == tables.number("SELECT count(*) FROM docproc.upload_jobs")
    assert sum(row["claimed"] for row in answer["states"].values()) == tables.leases()
    failed = Counter(code for status, code in last if status in FAILED)
    assert {row["code"]: row["jobs"] for row in answer["failures"]} == dict(failed)
    day = answer["last_24_hours"]
    assert (day["jobs"], day["complete"], day["failed"]) == (len(last), states[State.COMPLETE], failed.total())
    lines = [line.split("\t") for line in run("status").stdout.splitlines()]
    assert {words[0]: int(words[1]) for words in lines} == {str(state): states[state] for state in State}
    for job, *counts in tables.rows(_PROGRESS):
        assert len(set(counts)) == 1, (job, counts)


def assert_receipts_are_true(said: Iterable[str], tables: Tables) -> None:
    """I5: what each run that ended says it did is what the history says it did, in the table and in its last line."""
    finished = tables.rows(_FINISHED)
    for _, done, failed, completed, given_up in finished:
        assert (done, failed) == (completed, given_up)
    kept = Counter((done, exit_code) for exit_code, done, *_ in finished)
    printed = Counter((int(found[1]), int(found[2])) for line in said if (found := _DONE.match(line)))
    # A run that had nothing to do keeps no receipt; one that was killed just then has kept it and printed nothing.
    wrong = [end for end in printed - kept if end[0] > 0 and end[1] == 0]
    assert not wrong, (printed, kept)


def assert_nothing_leaked(text: str, said: Iterable[str], tables: Tables, *logs: Path, whole: bool = True) -> None:
    """I10: ``text`` of a document stands in the chunks only, and a key nowhere: no log, note or error quotes them.

    ``whole``: the run went so far that there are chunks.
    """
    for name in tables.dump():
        found = f"SELECT count(*) FROM docproc.{name} t WHERE strpos(t::text, %s) > 0"
        assert not sum(tables.number(found, key) for key in KEYS.values()), f"a key in {name}"
        quoted = tables.number(found, text) > 0
        assert quoted == (name == TEXTS) or (name == TEXTS and not whole), name
    secrets, lines = [text, *KEYS.values()], list(said)
    for log in logs:
        assert log.stat().st_size, f"{log} is empty"
        lines += log.read_text("utf-8", "replace").splitlines()
    assert not [line for line in lines if any(secret in line for secret in secrets)]
