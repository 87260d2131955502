"""The account of a run: which exit code follows, what money is told, and the line of progress at any width."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from docproc.errors import ConfigError, CredentialsError, DocprocError, Exit, PermanentError
from docproc.report import FailOn, Report, Spent, usd
from docproc.runner import Failure, Tally
from docproc.stages.finding import Refused
from docproc.states import State
from docproc.views import progress
from docproc.views.errors import next_command, show_failures
from docproc.views.files import refuse_unwritable
from docproc.views.progress import Pace, RunProgress, about, line, money
from docproc.views.run import write_receipt
from docproc.views.terminal import messages
from tests.support import wait_until

BOUGHT = Spent("llamaparse", "parse", 3, "page", 1000, 4.1234, estimated=False)


def failure(code: str = "parse.timeout", source: str = "a.pdf") -> Failure:
    return Failure(source, State.FAILED_PARSE, PermanentError(code, "no answer"))


def report(*, done: int = 0, failed: int = 0, left: int = 0, fail_on: str = "any", unchanged: int = 0) -> Report:
    made = Report(State.COMPLETE, "run-all", FailOn.told(fail_on))
    made.tally = Tally(Counter({State.COMPLETE: done}), [failure() for _ in range(failed)], left)
    made.ingested = Counter(unchanged=unchanged)
    return made


@pytest.mark.parametrize(
    ("fail_on", "done", "failed", "code"),
    [
        ("any", 10, 0, 0),
        ("any", 9, 1, 3),
        ("any", 0, 1, 1),
        ("5%", 95, 5, 0),
        ("5%", 94, 6, 3),
        ("5%", 0, 6, 1),
        ("100%", 0, 6, 0),
        ("all", 1, 99, 0),
        ("all", 0, 1, 1),
        ("never", 0, 1, 0),
    ],
)
def test_fail_on_moves_the_line_between_good_some_failed_and_all_failed(
    fail_on: str, done: int, failed: int, code: int
) -> None:
    assert report(done=done, failed=failed, fail_on=fail_on).exit_code == code


@pytest.mark.parametrize("text", ["", "some", "5", "-1%", "101%", "5 %"])
def test_another_fail_on_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        FailOn.told(text)


def test_work_that_is_left_is_told_before_failures_and_what_stopped_the_run_before_that() -> None:
    codes = [report(failed=3, left=1, fail_on="never").exit_code]
    stopped = report(failed=3, left=1)
    stopped.trouble = CredentialsError("credentials.parser", "refused")
    codes.append(stopped.exit_code)
    assert codes == [Exit.WORK_LEFT, Exit.CREDENTIALS]


def test_a_failure_beside_unchanged_files_is_not_the_failure_of_all() -> None:
    assert report(failed=1, unchanged=100).exit_code is Exit.SOME_FAILED


def test_a_document_that_came_in_and_failed_is_all_that_failed() -> None:
    made = report(failed=1)
    made.ingested["new"] = 1
    assert made.exit_code is Exit.FAILED


@pytest.mark.parametrize(
    ("dollars", "estimated", "shown"),
    [
        (4.1234, False, "$4.12"),
        (4.1234, True, "~$4.12"),
        (1234.5, False, "$1,234.50"),
        (0.001, False, "<$0.01"),
        (None, False, "$?"),
        (0.0, False, ""),
        (0.0, True, "$?"),
    ],
)
def test_money_is_never_a_false_zero(dollars: float | None, estimated: bool, shown: str) -> None:
    assert money(dollars, estimated=estimated) == shown


def test_a_sum_with_an_unknown_price_is_unknown() -> None:
    assert usd([BOUGHT, BOUGHT]) == 8.2468
    assert usd([BOUGHT, replace(BOUGHT, usd=None)]) is None


def test_the_mocks_cost_nothing_and_are_no_estimate() -> None:
    row = {
        "provider": "llamaparse",
        "operation": "parse",
        "unit": "page",
        "calls": 2,
        "units": 4,
        "unknown": 1,
        "estimated": 0,
    }
    spent = Spent.of(row, mock=True, tier="fast", model="x")
    assert (spent.usd, spent.estimated) == (0.0, False)
    assert Spent.of(row, mock=False, tier="fast", model="x").estimated
    assert Spent.of(row, mock=False, tier="no such tier", model="x").usd is None


def working() -> Report:
    made = report(done=810, failed=2)
    made.command, made.phase, made.total = "embed", "working", 1284
    made.pages, made.pages_total, made.spent = 9410, 14002, (BOUGHT,)
    return made


def test_the_line_of_progress_says_all_that_is_known() -> None:
    told = "embedding 812/1,284 docs · 9,410/14,002 pages · 41/min · ETA 12m · $4.12 · 2 failed"
    assert line(working(), 41.0) == told


@pytest.mark.parametrize("width", range(20, 90))
def test_the_line_of_progress_fits_at_any_width_and_begins_with_the_documents(width: int) -> None:
    shown = line(working(), 41.0, width)
    assert len(shown) <= width
    assert shown.startswith("embedding 812/1,284"[:width])


def test_at_80_columns_only_the_pages_go() -> None:
    assert line(working(), 41.0, 77) == "embedding 812/1,284 docs · 41/min · ETA 12m · $4.12 · 2 failed"


def test_the_second_number_stays_when_others_bring_more_work() -> None:
    made = working()
    made.tally.reached[State.COMPLETE] = 5000
    assert line(made, None).startswith("embedding 1,284/1,284 docs")


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "1s"), (45, "45s"), (60, "1m"), (660, "11m"), (7500, "2h 5m")])
def test_a_time_that_is_not_known_well_is_told_coarsely(seconds: float, shown: str) -> None:
    assert about(seconds) == shown


def test_the_pace_is_that_of_the_last_minutes() -> None:
    pace = Pace()
    pace.see(0, 0.0)
    assert pace.per_minute is None
    for second in range(1, 601):
        pace.see(min(second, 300), float(second))
    assert pace.per_minute is None  # nothing has ended for three minutes and more
    pace.see(330, 601.0)
    assert pace.per_minute == pytest.approx(10, rel=0.02)


def test_a_line_is_printed_now_and_then_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    messages.cache_clear()
    with RunProgress(working()):
        wait_until(lambda: shown.getvalue().count("\n") > 2)
    assert set(shown.getvalue().splitlines()) == {line(working(), None)}
    assert "\x1b" not in shown.getvalue()
    messages.cache_clear()


def test_json_lines_tell_the_status_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    with RunProgress(working(), json=True):
        wait_until(lambda: shown.getvalue().count("\n") > 2)
    told = json.loads(shown.getvalue().splitlines()[0])
    assert (told["schema"], told["type"], told["phase"]) == (1, "status", "working")
    assert (told["done"], told["failed"], told["total"], told["usd"]) == (810, 2, 1284, 4.1234)


def test_quiet_says_nothing_while_it_goes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    watched = RunProgress(working(), quiet=True, json=True)
    with watched:
        watched.emit("document", id=uuid4(), source="a", state="complete", code=None)
        watched.emit("document", id=uuid4(), source="b", state="failed_parse", code="parse.failed")
    said = capsys.readouterr()
    assert said.err == ""
    assert [json.loads(told)["source"] for told in said.out.splitlines()] == ["b"]


def test_at_most_ten_kinds_of_failure_are_shown_the_most_frequent_first(capsys: pytest.CaptureFixture[str]) -> None:
    messages.cache_clear()
    show_failures([failure(f"parse.kind{n}") for n in range(12) for _ in range(12 - n)])
    shown = capsys.readouterr().err
    assert shown.startswith("12 parse.kind0 (failed_parse)\n")
    assert "parse.kind9" in shown
    assert "parse.kind10" not in shown
    assert "… and 3 of 2 more kinds: docproc status --failed\n" in shown
    assert "   … and 7 more\n" in shown
    messages.cache_clear()


def test_a_name_that_would_steer_the_terminal_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    messages.cache_clear()
    name = "a\x1b[2J\nb\udcff[bold].pdf"
    show_failures([failure(source=name), Refused(name, DocprocError("ingest.empty", "is empty", why=name))])
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert shown.count("a\\x1b[2J\\nb\\udcff[bold].pdf") == 3
    messages.cache_clear()


def test_the_next_command_retries_where_that_helps_and_looks_where_it_does_not() -> None:
    assert next_command("parse.gone", [failure("parse.gone")]) == "docproc retry --resubmit --code parse.gone"
    assert next_command("parse.timeout", [failure()]) == "docproc retry --resubmit --code parse.timeout"
    assert next_command("validate.empty", [failure("validate.empty")]) == (
        "docproc status --failed --code validate.empty"
    )
    assert next_command("ingest.empty", []) == ""


def test_a_receipt_is_written_whole_and_in_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_text("old")
    write_receipt(working(), file)
    told = json.loads(file.read_text())
    assert (told["schema"], told["done"], told["codes"], told["usd"]) == (1, 810, {"parse.timeout": 2}, 4.1234)
    assert [path.name for path in tmp_path.iterdir()] == ["receipt.json"]


def test_a_receipt_that_could_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "nowhere" / "receipt.json"):
        with pytest.raises(ConfigError, match="receipt"):
            refuse_unwritable("--receipt", file)
        with pytest.raises(DocprocError, match="not written"):
            write_receipt(working(), file)
    assert list(tmp_path.iterdir()) == []
