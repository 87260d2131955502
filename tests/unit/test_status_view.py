"""status as it is shown: its screens at their widths, drawn into docs/screens, and what is said on them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from docproc.states import State
from docproc.views import document as document_view
from docproc.views import status_watch
from docproc.views.status_screen import listing, screen, sparkline
from docproc.views.status_watch import Live
from tests.support import ROOT
from tests.unit import status_samples as samples
from tests.unit.status_samples import AT, snapshot

SCREENS = ROOT / "docs" / "screens"
WRITE = os.environ.get("DOCPROC_WRITE_SCREENS") == "1"


def rgb(colours: str) -> list[tuple[int, int, int]]:
    return [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in colours.split()]


# A light terminal; black, red, green, yellow, blue, magenta, cyan, white, and the same again bright.
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    rgb("24292f cf222e 116329 4d2d00 0969da 8250df 1b7c83 6e7781"),
    rgb("57606a a40e26 1a7f37 633c01 218bff a475f9 3192aa 8c959f"),
)

FORMAT = """<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; \
white-space: pre }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
<rect width="{terminal_width}" height="{terminal_height}" fill="BACKGROUND"/>
<g clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""
"""rich's own names fonts on a server, and a page of documentation loads nothing from elsewhere."""

Draw = Callable[[Console], None]


def one_document(console: Console) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_view, "data", lambda: console)
        patch.setattr(document_view, "for_people", lambda: True)
        document_view.show_document([samples.document()], json=False)


def watched(console: Console) -> None:
    console.print(screen(snapshot(samples.running())))
    console.print("every 2.0s · Ctrl-C ends", style="dim", highlight=False)


DRAWN: dict[str, Draw] = {
    "empty": lambda console: console.print(screen(snapshot(samples.empty()))),
    "running": lambda console: console.print(screen(snapshot(samples.running()))),
    "failures": lambda console: console.print(screen(snapshot(samples.failing()))),
    "list": lambda console: console.print(listing(samples.listed())),
    "document": one_document,
    "watch": watched,
}


def console(width: int, *, colours: bool = True) -> Console:
    return Console(
        file=io.StringIO(),
        record=True,
        width=width,
        height=60,
        force_terminal=True,
        color_system="truecolor",
        no_color=not colours,
        legacy_windows=False,
        highlight=False,
        _environ={},
    )


def lines(name: str, width: int) -> list[str]:
    drawn = console(width)
    DRAWN[name](drawn)
    return [line.rstrip() for line in drawn.export_text().splitlines()]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(("width", "theme"), [(80, "dark"), (120, "dark"), (80, "light")])
def test_the_screens_in_the_documentation_are_what_is_drawn(name: str, width: int, theme: str) -> None:
    drawn = console(width)
    DRAWN[name](drawn)
    told = f"{name}-{width}" + ("-light" if theme == "light" else "")
    look = LIGHT if theme == "light" else SVG_EXPORT_THEME
    form = FORMAT.replace("BACKGROUND", look.background_color.hex)
    svg = drawn.export_svg(title="", theme=look, code_format=form, unique_id=told)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    file = SCREENS / f"{told}.svg"
    if WRITE:
        SCREENS.mkdir(exist_ok=True)
        file.write_text(svg, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == svg, "look at it, then: DOCPROC_WRITE_SCREENS=1 pytest " + __file__


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_screen(name: str, width: int) -> None:
    assert [line for line in lines(name, width) if cell_len(line) > width] == []


@pytest.mark.parametrize("name", DRAWN)
def test_every_screen_of_eighty_columns_fits_into_forty_lines(name: str) -> None:
    assert len(lines(name, 80)) <= 40


@pytest.mark.parametrize("name", DRAWN)
def test_without_colours_the_words_are_the_same(name: str) -> None:
    plain = console(80, colours=False)
    DRAWN[name](plain)
    assert [line.rstrip() for line in plain.export_text().splitlines()] == lines(name, 80)


def test_every_state_has_its_row_in_the_order_of_the_pipeline() -> None:
    rows = lines("empty", 80)
    at = [next(n for n, line in enumerate(rows) if line.startswith(f"{state} ")) for state in State]
    assert at == list(range(at[0], at[0] + len(State)))


def test_where_there_is_nothing_the_next_command_brings_documents_in() -> None:
    assert lines("empty", 80)[-1].split(maxsplit=1) == ["next", "docproc run-all FOLDER"]


def test_who_must_act_is_said_of_every_state() -> None:
    needs = {line.split()[0]: line for line in lines("failures", 80) if line}
    assert needs["failed_parse"].endswith(" you")
    assert needs["uploaded"].rstrip().endswith(" in 3m00s")
    assert not needs["failed_chunking"].rstrip().endswith("you")


def test_work_that_is_due_needs_a_run_when_nobody_works() -> None:
    rows = samples.running()
    rows["claims"], rows["waiting"] = [], []
    drawn = console(80)
    drawn.print(screen(snapshot(rows)))
    said = drawn.export_text()
    assert [line.split()[0] for line in said.splitlines() if line.rstrip().endswith(" a run")] == [
        "uploaded",
        "parse_queued",
        "parse_validated",
        "embedding_in_progress",
    ]
    assert said.rstrip().endswith("docproc run-all")


def test_a_claim_that_nobody_renews_needs_a_run() -> None:
    needs = {line.split()[0]: line for line in lines("failures", 80) if line}
    assert needs["parse_validated"].endswith(" a run")
    assert needs["stale"].split()[1:4] == ["2", "claims", "of"]


def test_the_failures_are_named_with_the_next_command() -> None:
    said = "\n".join(lines("failures", 80))
    assert "6 parse.timeout · 4 validate.empty · 1 embed.rejected" in said
    assert "docproc retry --resubmit --code parse.timeout" in said


def test_names_cannot_steer_the_terminal() -> None:
    rows = samples.running()
    rows["latest_changes"] = [samples.change(1, "evil\x1b[2J\u202e.pdf", None, "uploaded")]
    drawn = console(80)
    drawn.print(screen(snapshot(rows)))
    assert "evil\\x1b[2J\\u202e.pdf" in drawn.export_text()


def test_a_sparkline_is_lowest_where_there_is_nothing_and_highest_at_the_most() -> None:
    assert sparkline([0, 1, 50, 100]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"


# ── the live screen ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Console:
    drawn = console(80)
    monkeypatch.setattr(status_watch, "data", lambda: drawn)
    return drawn


def test_a_look_is_written_over_the_one_before(live: Console, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Live(2.0)
    shown.show(snapshot(samples.running()))
    first = capsys.readouterr().out
    shown.show(replace(snapshot(samples.running()), at=AT + timedelta(minutes=2)))
    second = capsys.readouterr().out
    assert "\x1b[2J" not in first + second
    assert second.startswith(f"\x1b[{first.count(chr(10))}A\r")
    assert second.count("\n") == first.count("\n")
    assert "15:42 UTC" in second


def test_a_screen_of_another_size_begins_afresh(live: Console, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Live(2.0)
    shown.show(snapshot(samples.running()))
    capsys.readouterr()
    live.size = (60, 24)
    shown.redraw()
    out = capsys.readouterr().out
    assert out.startswith("\x1b[2J\x1b[H")
    assert out.count("\n") <= 23


def test_a_low_screen_keeps_its_head_and_its_foot(live: Console, capsys: pytest.CaptureFixture[str]) -> None:
    for height in (24, 18):
        live.size = (80, height)
        Live(2.0).show(snapshot(samples.failing()))
        rows = capsys.readouterr().out.splitlines()
        assert "docproc status" in rows[0]
        assert "Ctrl-C ends" in rows[-2]
        assert len(rows) <= height


def test_a_line_that_fills_the_screen_does_not_rub_out_its_own_end(
    live: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    Live(2.0).show(snapshot(samples.running()))
    rows = capsys.readouterr().out.splitlines()
    assert not rows[0].endswith("\x1b[K")  # the title goes to the last column
    assert rows[1].endswith("\x1b[K")


def test_a_database_that_is_away_leaves_the_last_look_on_the_screen(
    live: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    from docproc.errors import DatabaseError

    shown = Live(2.0)
    shown.show(snapshot(samples.running()))
    capsys.readouterr()
    shown.trouble(DatabaseError("database.unreachable", "cannot reach the database", why="refused"))
    out = capsys.readouterr().out
    assert "as of 15:40:00 · cannot reach the database: refused" in out
    assert "1,247" in out
