"""Logs through the standard library: lines for people on a terminal, JSON lines elsewhere, in neither any secret."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from docproc.errors import ConfigError
from docproc.redaction import redact, unquoted, words_of
from docproc.states import FINAL, transition_from

if TYPE_CHECKING:
    from docproc.model import Job

FIELDS: Mapping[str, str] = {
    "ts": "when, UTC, ISO 8601 with milliseconds",
    "level": "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    "logger": "the part of the program that speaks",
    "event": "what happened, in words that stay the same",
    "command": "the command that runs",
    "profile": "the active profile",
    "run_id": "the run, as in the table `runs`",
    "worker": "the process, as in `upload_jobs.claimed_by` and `job_events.worker`",
    "stage": "parse, validate, chunk or embed",
    "outcome": "of a settle: done, advance, wait, retry or fail",
    "from": "the state that a job was in",
    "to": "the state that it is in now",
    "job": "the job's id",
    "document": "the document's id",
    "attempt": "which try of the stage this is, from 1",
    "fence": "the number of the claim",
    "jobs": "how many jobs it is about",
    "sources": "how many sources it is about",
    "code": "the error's code, as in docs/exit-codes.md",
    "why": "the error in words, without what it quotes",
    "note": "why a job waits, or what a stage has to tell",
    "waits": "seconds until it goes on",
    "external_id": "the parse job's id at the service",
    "submit": "which submit of this document it is, from 1",
    "state": "of a parse job: waiting, ready, failed or gone; of an index: whole, few, unfinished or failed",
    "batch": "the number of an embedding request, from 1 in each round of a claim",
    "of": "how many requests the round has; more where their tokens limit them",
    "inputs": "texts in the request",
    "tokens": "tokens in the request",
    "embeds_done": "chunks of the claim's documents that have their vector",
    "embeds_total": "chunks of the claim's documents",
    "kind": "the index's kind",
    "built": "whether this run built the index",
    "migration": "which migration was applied, and which way",
    "tries": "which try it was",
    "sqlstate": "the database's error code",
    "ingested": "files by what became of them: new, changed, returned, restored, duplicate, unchanged",
    "refused": "files that were refused",
    "done": "documents that reached the state in which the command leaves them",
    "failed": "documents that failed, and files that were refused",
    "left": "documents that are left to do",
    "exit": "the exit code",
    "check": "the id of a check of validate-deploy",
    "seconds": "how long it took",
    "error": "an exception's type",
    "error_message": "what may be told of its message",
    "traceback": "its frames, with -vv; never a local variable",
}
"""Every field of a record, in the order in which it is written; docs/logs.md has the same table."""

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By the number of -v."""

_CONTEXT = ("command", "profile", "run_id", "worker")
_ON_A_LINE = tuple(name for name in FIELDS if name not in ("ts", "level", "logger", "event", "stage", *_CONTEXT))
_TOO_LONG_FOR_A_LINE = ("document", "fence", "seconds", "error", "error_message", "traceback")
_OF_A_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ESCAPES = {n: ascii(chr(n))[1:-1] for n in (*range(0x20), *range(0x7F, 0xA0))}

_context: dict[str, object] = {}


class Format(StrEnum):
    """How records are written to standard error."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


def bind(**values: object) -> None:
    """Puts ``values`` on every record from now on."""
    _context.update(values)


def of(job: Job) -> dict[str, object]:
    """The fields of a record about ``job``. Costs a little: not to be called where the level is off."""
    stage = {} if job.status in FINAL else {"stage": transition_from(job.status).command}
    return {
        **stage,
        "job": job.job_id,
        "document": job.document_id,
        "attempt": job.attempt,
        "fence": job.fence,
    }


def configure(
    verbosity: int = 0, *, stream: TextIO | None = None, form: Format = Format.AUTO, file: Path | None = None
) -> None:
    """Sends what docproc logs to ``stream`` (default: standard error), and to ``file`` as JSON from INFO on.

    ``verbosity`` is the number of -v. May be called again. Raises ConfigError when the file cannot be written.
    """
    level = LEVELS[min(verbosity, 2)]
    shown = stream or sys.stderr
    as_json = form is Format.JSON or (form is Format.AUTO and not shown.isatty())
    with_frames = level <= logging.DEBUG
    handlers: list[_Handler] = [_ToStream(stream, level, JsonLines(with_frames) if as_json else Lines(with_frames))]
    if file is not None:
        handlers.append(_ToFile(file, min(level, logging.INFO), JsonLines(with_frames)))
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    logging.getLogger("docproc").setLevel(min(handler.level for handler in handlers))
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # docproc itself says when the database is away
    threading.excepthook = _thread_died


def frames(error: BaseException) -> list[str]:
    """The frames of ``error`` and of those before it, as lines of source and never with a value or a message.

    Python's own traceback shows the messages of the whole chain, and with them what a database says of a row.
    """
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        called = f"{type(current).__name__}: {words_of(current)}".removesuffix(": ")
        lines = [*"".join(traceback.format_tb(current.__traceback__)).splitlines(), called, *lines]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


# ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────────


class Redaction(logging.Filter):
    """Lets through what may be told, and takes secrets and others' quotations out of it; on every handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for another package's record below WARNING: there are request bodies and headers in those."""
        ours = record.name.partition(".")[0] == "docproc"
        if not ours and record.levelno < logging.WARNING:
            return False
        record.msg = (redact if ours else unquoted)(record.getMessage())
        record.args = ()
        if not ours:
            for name, _ in list(_extras(record)):
                delattr(record, name)
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = record.exc_text = record.stack_info = None
        if error is not None:
            vars(record).update(error=type(error).__name__, error_message=words_of(error), traceback=frames(error))
        for name, value in list(_extras(record)):
            setattr(record, name, _told(value))
        return True


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line; ASCII, so that nothing in it can steer a terminal."""

    def __init__(self, with_frames: bool) -> None:
        super().__init__()
        self._with_frames = with_frames

    def format(self, record: logging.LogRecord) -> str:
        """The object's text."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, object] = {
            "ts": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        told |= {name: _told(value) for name, value in _context.items()}
        more = dict(_extras(record))
        if not self._with_frames:
            more.pop("traceback", None)
        told |= {name: more.pop(name) for name in FIELDS if name in more} | more
        return json.dumps(told, default=str)


class Lines(logging.Formatter):
    """A record as a person reads it: the time here, level, stage, event, the fields, how long it took."""

    def __init__(self, with_frames: bool) -> None:
        super().__init__()
        self._with_frames = with_frames

    def format(self, record: logging.LogRecord) -> str:
        """One line, and with -vv the frames of an exception below it."""
        fields = dict(_extras(record))
        level = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(record.levelname, record.levelname)
        stage = str(fields.get("stage") or record.name.rpartition(".")[2])
        at = datetime.fromtimestamp(record.created).astimezone()
        words = [f"{at:%H:%M:%S} {level:<5} {stage:<8}", record.getMessage()]
        if "from" in fields and "to" in fields:
            words.append(f"{fields.pop('from')} → {fields.pop('to')}")
        words += [f"{name}={_word(name, fields[name])}" for name in _on_a_line(fields)]
        if "error" in fields:
            words.append(f"{fields['error']}: {fields['error_message']}".removesuffix(": "))
        if isinstance(seconds := fields.get("seconds"), int | float):
            words.append(f"{seconds:.3g}s")
        line = " ".join(words).translate(_ESCAPES)
        trace = fields.get("traceback", ()) if self._with_frames else ()
        return "\n".join([line, *(f"    {frame}".translate(_ESCAPES) for frame in trace)])


def _on_a_line(fields: Mapping[str, object]) -> list[str]:
    return [name for name in _ON_A_LINE if name in fields and name not in _TOO_LONG_FOR_A_LINE]


def _word(name: str, value: object) -> str:
    text = str(value)
    if name in ("job", "external_id"):
        return text[:8]
    return text if text and not set(text) & set(" \t\n\"'=") else json.dumps(text, ensure_ascii=False)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(record).items() if name not in _OF_A_RECORD)


def _told(value: object) -> object:
    """``value`` as JSON can hold it, its texts redacted."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {str(key): _told(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return redact(str(value))


# ── where it is written ─────────────────────────────────────────────────────────────────────────────────────────────


class _Handler(logging.Handler):
    """A handler that redacts, and that keeps quiet about a place that cannot be written: no run fails for its log."""

    def __init__(self, level: int, formatter: logging.Formatter) -> None:
        super().__init__(level)
        self.addFilter(Redaction())
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        line = self.format(record) + "\n"
        with suppress(OSError, ValueError):  # full, or closed: there is nobody left to tell
            self._write(line)

    def _write(self, line: str) -> None:
        raise NotImplementedError


class _ToStream(_Handler):
    """To a stream; to the standard error of the moment when none is given: a live progress puts itself before it."""

    def __init__(self, stream: TextIO | None, level: int, formatter: logging.Formatter) -> None:
        super().__init__(level, formatter)
        self._stream = stream

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(line)
        stream.flush()


class _ToFile(_Handler):
    """To a file that many processes append to, each line in one write; only its owner may read it."""

    def __init__(self, path: Path, level: int, formatter: logging.Formatter) -> None:
        super().__init__(level, formatter)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            what = f"the log file {path} cannot be written"
            raise ConfigError("config.invalid", what, why=error.strerror or "", try_="--log-file") from None

    def _write(self, line: str) -> None:
        os.write(self._fd, line.encode("ascii"))

    def close(self) -> None:
        """Closes the file."""
        with suppress(OSError):
            os.close(self._fd)
        super().close()


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """What Python prints of an exception that ends a thread has its message, and what that quotes."""
    if died.exc_value is not None and died.exc_type is not SystemExit:
        logging.getLogger(__name__).critical("a thread died", exc_info=died.exc_value)
