"""What is written of a record: one JSON object or one readable line, without secrets, and nothing where it is off."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from docproc import logs
from docproc.errors import ConfigError, PermanentError
from docproc.model import Job
from docproc.redaction import redact
from docproc.states import State
from tests.support import ROOT

log = logging.getLogger("docproc.stages.parse")

JOB = Job(
    job_id=UUID(int=1),
    document_id=UUID(int=2),
    user_id="me",
    source="secret-name.pdf",
    status=State.PARSE_QUEUED,
    extension=".pdf",
    raw_path="",
    raw_sha="",
    raw_bytes=1,
    parsed_path=None,
    parsed_sha=None,
    chunks_version="a@1",
    embed_model="m",
    embed_version="d8-f1",
    progress={},
    attempt=2,
    fence=7,
)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes docproc's handlers and levels away after each test."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logs, "_context", {})
    names = ("docproc", "psycopg.pool")
    levels = {name: logging.getLogger(name).level for name in names}
    before = list(logging.getLogger().handlers)
    yield
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_a_record_is_one_json_object_with_its_fields_by_name() -> None:
    logs.configure(1, stream=(out := io.StringIO()))
    logs.bind(run_id=UUID(int=3), profile="local")
    log.info("looked at", extra=logs.of(JOB) | {"seconds": 1.23456, "state": "ready"})
    (told,) = lines(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("ts"))
    assert told == {
        "level": "INFO",
        "logger": "docproc.stages.parse",
        "event": "looked at",
        "run_id": str(UUID(int=3)),
        "profile": "local",
        "stage": "parse",
        "job": str(UUID(int=1)),
        "document": str(UUID(int=2)),
        "attempt": 2,
        "fence": 7,
        "state": "ready",
        "seconds": 1.235,
    }


def test_on_a_terminal_a_record_is_one_line_for_people() -> None:
    logs.configure(1, stream=(out := Terminal()))
    moved = {"outcome": "done", "from": "parse_queued", "to": "parsed", "seconds": 0.4, "note": "two words"}
    log.info("settled", extra=logs.of(JOB) | moved)
    said = out.getvalue()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO  parse    settled parse_queued → parsed outcome=done job=00000000 attempt=2"
        r' note="two words" 0\.4s\n',
        said,
    ), said


@pytest.mark.parametrize(("form", "starts"), [(logs.Format.TEXT, "0123456789"), (logs.Format.JSON, "{")])
def test_the_format_can_be_named(form: logs.Format, starts: str) -> None:
    logs.configure(0, stream=(out := io.StringIO()), form=form)
    log.warning("no heartbeat")
    assert out.getvalue()[0] in starts


@pytest.mark.parametrize(
    ("verbosity", "shown"), [(0, ["c"]), (1, ["b", "c"]), (2, ["a", "b", "c"]), (5, ["a", "b", "c"])]
)
def test_each_v_shows_one_level_more(verbosity: int, shown: list[str]) -> None:
    logs.configure(verbosity, stream=(out := io.StringIO()))
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [told["event"] for told in lines(out)] == shown


def test_nothing_is_made_of_a_job_where_the_level_is_off() -> None:
    logs.configure(0, stream=io.StringIO())
    assert not log.isEnabledFor(logging.INFO)


def test_a_final_state_belongs_to_no_stage() -> None:
    assert "stage" not in logs.of(replace(JOB, status=State.COMPLETE))


def test_configuring_again_replaces_what_was_before() -> None:
    logs.configure(1, stream=(first := io.StringIO()))
    logs.configure(1, stream=(second := io.StringIO()))
    log.info("once")
    assert (first.getvalue(), len(lines(second))) == ("", 1)


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_gets_json_from_info_on_whatever_the_terminal_shows(tmp_path: Path) -> None:
    path = tmp_path / "docproc.log"
    path.write_text("before\n", encoding="utf-8")
    logs.configure(0, stream=(out := Terminal()), file=path)
    log.debug("a")
    log.info("b")
    assert out.getvalue() == ""
    first, second = path.read_text("utf-8").splitlines()
    assert (first, json.loads(second)["event"]) == ("before", "b")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    logs.configure(file=tmp_path / "new.log", stream=io.StringIO())
    assert stat.S_IMODE((tmp_path / "new.log").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_opened_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written") as told:
        logs.configure(file=tmp_path / "no" / "folder.log", stream=io.StringIO())
    assert told.value.code == "config.invalid"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_no_run_and_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(file=Path("/dev/full"), stream=io.StringIO())
    log.info("into the void", extra={"note": "words"})
    assert capfd.readouterr() == ("", "")


def test_each_line_reaches_the_file_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(file=tmp_path / "log", stream=io.StringIO())
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data))
    log.info("one\ntwo", extra={"note": "x" * 10_000})
    assert len(written) == 1
    assert written[0].endswith(b"}\n") and written[0].count(b"\n") == 1


# ── redaction ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_secret_is_taken_out_of_message_arguments_fields_and_tracebacks(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redact, "_values", frozenset())
    monkeypatch.setattr(redact, "_known", redact._known)
    redact.learn(["hunter2hunter2"])
    logs.configure(2, stream=(out := stream()))
    log.warning(
        "hunter2hunter2 and %s",
        "hunter2hunter2",
        extra={"note": "hunter2hunter2", "ingested": {"a": ["hunter2hunter2"]}},
    )
    # The traceback shows this line, and the known value in it.
    try:
        raise PermanentError("a.b", "it says hunter2hunter2")
    except PermanentError:
        log.exception("failed")
    assert "hunter2" not in out.getvalue()
    assert out.getvalue().count("…") + out.getvalue().count("\\u2026") >= 6


def test_another_package_is_not_heard_below_warning_and_without_its_quotations_and_fields_above() -> None:
    logs.configure(2, stream=(out := io.StringIO()))
    theirs = logging.getLogger("openai._base_client")
    theirs.setLevel(logging.DEBUG)
    theirs.debug("Request options: the gull")
    theirs.warning("refused 'the gull' of %s", "sk-abcdefgh1234", extra={"body": "the gull"})
    theirs.setLevel(logging.NOTSET)
    (told,) = lines(out)
    assert told["event"] == "refused … of …"
    assert "body" not in told


def test_a_traceback_has_the_frames_of_the_whole_chain_and_no_message_or_local(tmp_path: Path) -> None:
    logs.configure(2, stream=(out := io.StringIO()), file=tmp_path / "log")

    def fails(text: str) -> None:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise RuntimeError(text) from error

    words = "the gull"
    try:
        fails(words)
    except RuntimeError as error:
        log.error("an unexpected error", exc_info=error)  # noqa: TRY400 - as the program does it
    (told,) = lines(out)
    assert (told["error"], told["error_message"]) == ("RuntimeError", "")
    assert [line for line in told["traceback"] if not line.startswith(" ")] == ["KeyError", "RuntimeError"]
    assert any("raise KeyError(text)" in line for line in told["traceback"])
    assert "gull" not in out.getvalue() + (tmp_path / "log").read_text("utf-8")


@pytest.mark.parametrize("verbosity", [0, 1])
def test_there_are_no_frames_below_vv(verbosity: int) -> None:
    logs.configure(verbosity, stream=(out := io.StringIO()))
    log.error("failed", exc_info=ValueError("the gull"))
    (told,) = lines(out)
    assert told["error"] == "ValueError"
    assert "traceback" not in told


def test_an_exception_that_ends_a_thread_is_logged_without_its_message() -> None:
    logs.configure(2, stream=(out := io.StringIO()))

    def dies() -> None:
        raise ValueError("the " + "gull")

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    (told,) = lines(out)
    assert (told["level"], told["error"]) == ("CRITICAL", "ValueError")
    assert "the gull" not in out.getvalue()


def test_no_character_of_a_record_steers_a_terminal() -> None:
    logs.configure(0, stream=(out := Terminal()))
    log.warning("a\x1b[2Jb\nc", extra={"note": "d\x9be"})
    assert out.getvalue().count("\n") == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out.getvalue())


def test_the_standard_error_of_the_moment_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(0)
    monkeypatch.setattr(sys, "stderr", out := io.StringIO())
    log.warning("no heartbeat")
    assert "no heartbeat" in out.getvalue()


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_field_stands_in_the_page_with_its_meaning() -> None:
    table = "| field | |\n|---|---|\n" + "".join(f"| `{name}` | {meaning} |\n" for name, meaning in logs.FIELDS.items())
    assert table in (ROOT / "docs/logs.md").read_text("utf-8")


def test_every_field_that_the_program_logs_by_name_is_known() -> None:
    used: set[str] = set()
    for path in (ROOT / "docproc").rglob("*.py"):
        for extra in re.findall(r"extra=[^\n]*\{([^}]*)\}", path.read_text("utf-8")):
            used |= set(re.findall(r'"(\w+)":', extra))
    assert {"stage", "jobs", "code", "waits"} <= used
    assert used <= set(logs.FIELDS)
