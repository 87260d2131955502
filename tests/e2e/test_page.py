"""The status page: well-formed, self-contained, the numbers of the snapshot, safe from names, right in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from docproc.alerts import evaluate
from docproc.settings import AlertsSettings
from docproc.states import State
from docproc.status import Snapshot
from docproc.status.trends import Trend, read_trend
from docproc.views.page import page
from tests.e2e.conftest import FullRun
from tests.support import ROOT
from tests.unit import status_samples as samples

SCREENS = ROOT / "docs" / "screens"
WRITE = os.environ.get("DOCPROC_WRITE_SCREENS") == "1"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = (
    '</td><script>alert("x")</script><img src="http://evil.example/a.png" onerror=\'y\'>\x1b[31m\u202eabc\udcff&amp;'
)
VOID = {"meta", "br"}
FREE: frozenset[str] = frozenset()


class Reader(HTMLParser):
    """Reads a page and fails where it is not well-formed: every element is closed, in order, and ids are unique."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        ids = [told["id"] for _, told in self.elements if "id" in told]
        assert len(set(ids)) == len(ids)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)
        if self.open[-1:] not in (["title"], ["caption"]) and {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    def row(self, head: str) -> list[str]:
        """The first row that begins with ``head``."""
        return next(row for row in self.cells if row[:1] == [head])


def busy_trend(snapshot: Snapshot) -> Trend:
    """Two working days and the weekend between them, two runs with failures, one that was killed."""
    done = (0, 0, 0, 0, 31, 88, 120, 134, 96, 141, 150, 122, 18, 0, 0, 0, 0, 0, 0, 41, 92, 100, 74, 40)
    failed = {5: 2, 6: 3, 9: 4, 21: 2}
    hours = [{"hour": hour, "complete": count, "failed": failed.get(hour, 0)} for hour, count in enumerate(done)]
    pages = (1090, 3400, 0, 0, 2900, 3100, 3600, 2750, 3900, 0, 0, 4100, 3300, 2980)
    days: list[dict[str, Any]] = []
    for day, count in enumerate(pages):
        days.append({"day": day, "unit": "page", "calls": count // 3, "units": count, "unknown": 12 if day == 0 else 0})
        days.append({"day": day, "unit": "token", "calls": count // 10, "units": 1480 * count, "unknown": 0})
    told = ((700, 634, 3, 1247, 11), (1440, 31, 0, 3122, 0), (2890, 55, 3, 2980, 4), (4330, None, None, None, None))
    runs = [
        {
            "command": "run-all",
            "started_at": samples.ago(minutes=began),
            "finished_at": None if lasted is None else samples.ago(minutes=began - lasted),
            "exit_code": code,
            "done": ended,
            "failed": failed,
        }
        for began, lasted, code, ended, failed in told
    ]
    rows = {"ended_by_hour": hours, "bought_by_day": days, "latest_runs": runs}
    return read_trend(rows, snapshot, model="text-embedding-3-small", tier="cost_effective", free=FREE)


FAILING = samples.snapshot(samples.failing())
TREND = busy_trend(FAILING)


def page_of(snapshot: Snapshot = FAILING, trend: Trend = TREND) -> str:
    return page(snapshot, trend, evaluate(snapshot, AlertsSettings(stuck=3600.0)))


def empty_trend(snapshot: Snapshot) -> Trend:
    rows: dict[str, list[dict[str, Any]]] = {"ended_by_hour": [], "bought_by_day": [], "latest_runs": []}
    return read_trend(rows, snapshot, model="m", tier="t", free=FREE)


@pytest.mark.parametrize("rows", [samples.empty(), samples.running(), samples.failing()])
def test_the_page_is_well_formed(rows: samples.Rows) -> None:
    snapshot = samples.snapshot(rows)
    Reader(page_of(snapshot))
    Reader(page_of(snapshot, empty_trend(snapshot)))


def test_the_numbers_are_those_of_the_snapshot() -> None:
    found = Reader(page_of())
    for state in State:
        assert found.row(state)[1] == f"{FAILING.states[state].documents:,}"
    times = [row for row in found.cells if row[0] == "parse_queued"]
    assert [row[1:3] for row in times] == [["12", "4m10s"], ["38s", "3m12s"]]
    said = "".join(found.text)
    for failure in FAILING.failures:
        assert f"{failure.documents:,} {failure.code}" in said
        assert failure.remedy in said
        assert failure.next in said
    assert all(change.source.rpartition("/")[2] in said for change in FAILING.changes)
    assert "2026-11-23T15:40:00Z" in said


def test_hours_days_and_runs_are_those_of_the_trend() -> None:
    found = Reader(page_of())
    for hour in TREND.hours[:-1]:
        assert found.row(f"{hour.ago + 1} h ago")[1:] == [f"{hour.complete:,}", f"{hour.failed:,}"]
    for day in TREND.days:
        assert found.row(str(day.day))[2:4] == [f"{day.pages:,}", f"{day.tokens:,}"]
    assert [row[3:] for row in found.cells if row[0] == "run-all"] == [
        ["1,247", "11", "3"],
        ["3,122", "0", "0"],
        ["2,980", "4", "3"],
        ["", "", "–"],
    ]


def test_an_alert_that_fires_stands_on_the_page() -> None:
    assert "alert.stuck" in page_of()
    assert "alert." not in page_of(samples.snapshot(samples.running()))


def test_a_price_that_is_not_known_is_a_question_mark_and_not_0() -> None:
    unpriced = replace(TREND, days=tuple(replace(day, usd=None) if day.pages else day for day in TREND.days))
    found = Reader(page_of(replace(FAILING, bought=tuple(replace(b, usd=None) for b in FAILING.bought)), unpriced))
    assert found.row(str(FAILING.at.date()))[1] == "$?"
    assert "10 days of unknown price (?)" in "".join(found.text)
    assert sum(told.get("class") == "unknown" for _, told in found.elements) == 10


def test_names_of_files_are_text_and_never_markup() -> None:
    changes = tuple(replace(change, source=f"/srv/{HOSTILE}") for change in FAILING.changes)
    failures = tuple(replace(f, code=HOSTILE, remedy=HOSTILE, next=HOSTILE) for f in FAILING.failures)
    found = page_of(replace(FAILING, changes=changes, failures=failures, title=HOSTILE))
    reader = Reader(found)
    assert {tag for tag, _ in reader.elements}.isdisjoint({"script", "img", "a", "link", "iframe"})
    assert [tag for tag, _ in reader.elements] == [tag for tag, _ in Reader(page_of()).elements]
    assert not set("\x1b\u202e\udcff") & set(found)
    assert "&amp;amp;" in found
    found.encode("utf-8")


def test_nothing_is_loaded_from_anywhere_and_no_script_runs() -> None:
    found = page_of()
    assert not re.search(r"https?://|//[a-z]|url\(|@import|javascript:", found)
    attributes = {name for _, told in Reader(found).elements for name in told}
    assert attributes.isdisjoint({"src", "href", "srcset", "style"})
    assert not any(name.startswith("on") for name in attributes)


def test_the_policy_of_the_page_allows_its_own_style_and_nothing_else() -> None:
    from base64 import b64encode
    from hashlib import sha256

    found = page_of()
    style = re.findall(r"<style>(.*?)</style>", found, re.S)
    assert len(style) == 1
    digest = b64encode(sha256(style[0].encode()).digest()).decode()
    (policy,) = (told["content"] for _, told in Reader(found).elements if "http-equiv" in told)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_every_chart_has_a_title_a_description_and_a_table() -> None:
    reader = Reader(page_of())
    charts = [told for tag, told in reader.elements if tag == "svg" and told.get("class") == "columns"]
    ids = {told.get("id") for _, told in reader.elements}
    assert len(charts) == 2
    for told in charts:
        assert told["role"] == "img"
        assert set((told["aria-labelledby"] or "").split()) <= ids
    assert sum(tag == "details" for tag, _ in reader.elements) == 2
    assert all(told.get("scope") for tag, told in reader.elements if tag == "th")


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2.2: 4.5 is what text needs."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_from_its_ground_in_light_and_dark() -> None:
    from docproc.views.page_style import STYLE

    themes = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        for name in ("text", "quiet", "bad"):
            assert contrast(colours[name], colours["panel"]) >= 4.5, name
            assert contrast(colours[name], colours["ground"]) >= 4.5, name
        for name in ("open", "good", "bad", "warn"):  # graphics need 3
            assert contrast(colours[name], colours["panel"]) >= 3, name


def test_a_run_that_is_over_is_shown_as_it_is_in_the_database(full_run: FullRun, tmp_path: Path) -> None:
    file = tmp_path / "status.html"
    said = full_run.docproc.run("status", "--html", str(file))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    found = Reader(file.read_text("utf-8"))
    assert found.row("complete")[1] == "17"
    assert found.row("the last hour")[1:] == ["17", "0"]
    assert found.row("run-all")[3:] == ["17", "0", "0"]
    pages = full_run.tables.number("SELECT sum(units_reported) FROM docproc.api_calls WHERE unit = 'page'")
    days = [row for row in found.cells if re.fullmatch(r"\d{4}-\d\d-\d\d", row[0])]
    assert len(days) == 14
    assert sum(int(row[2].replace(",", "")) for row in days) == pages
    assert "$0 (mocks)" in "".join(found.text)


# ── in a browser ────────────────────────────────────────────────────────────────────────────────────────────────────


def chromium(folder: Path, file: Path, *words: str) -> str:
    """What a headless Chromium prints about ``file``."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'chromium'}"]
    command += ["--hide-scrollbars", "--no-first-run", "--disable-background-networking", *words, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@needs_chromium
@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_stands_out_of_the_page_at_any_width(tmp_path: Path, width: int) -> None:
    # The page itself runs no script: it is looked at from outside, in a frame as wide as the screen that is meant.
    changes = tuple(replace(change, source="/srv/" + "wide" * 60 + ".pdf") for change in FAILING.changes)
    shown = page_of(replace(FAILING, changes=changes)).replace("http-equiv", "data-policy")
    (tmp_path / "page.html").write_text(shown.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    frame = f'<iframe src="page.html" style="width:{width}px;height:4000px;border:0"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html>{frame}{LISTEN}", encoding="utf-8")
    words = ("--window-size=1600,1200", "--virtual-time-budget=5000", "--dump-dom")
    dom = chromium(tmp_path, tmp_path / "frame.html", *words)
    (found,) = re.findall(r"measured (\d+) (\d+)", dom)
    assert int(found[1]) == width
    assert int(found[0]) <= width


MEASURE = """<script>parent.postMessage(["measured", document.documentElement.scrollWidth, innerWidth].join(" "), "*")
</script>"""
LISTEN = "<p></p><script>onmessage = (e) => document.querySelector('p').textContent = e.data</script>"


@needs_chromium
@pytest.mark.skipif(not WRITE, reason="DOCPROC_WRITE_SCREENS=1 takes new pictures")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("name", "width", "height"), [("phone", 375, 812), ("desktop", 1280, 900)])
def test_pictures_of_the_page_are_small_enough_for_the_documentation(
    tmp_path: Path, name: str, width: int, height: int, dark: bool
) -> None:
    later = tuple(replace(change, at=change.at - timedelta(seconds=7)) for change in FAILING.changes)
    (tmp_path / "page.html").write_text(page_of(replace(FAILING, changes=later)), encoding="utf-8")
    picture = SCREENS / f"page-{name}{'-dark' if dark else ''}.png"
    theme = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0") if dark else ()
    take(tmp_path, tmp_path / "page.html", picture, width, height, theme)
    assert picture.stat().st_size < 200_000


def take(folder: Path, file: Path, picture: Path, width: int, height: int, words: Sequence[str]) -> None:
    """A picture of ``file`` as a screen of that size shows it: a window is 500 wide at least and loses some height."""
    from PIL import Image

    style = f"width:{width}px;height:{height}px;border:0;display:block"
    frame, whole = folder / "frame.html", folder / "whole.png"
    frame.write_text(
        f'<!DOCTYPE html><body style="margin:0"><iframe src="{file.name}" style="{style}"></iframe>', encoding="utf-8"
    )
    chromium(folder, frame, f"--window-size={max(width, 500)},{height + 300}", f"--screenshot={whole}", *words)
    with Image.open(whole) as taken:
        taken.crop((0, 0, width, height)).convert("P", palette=Image.Palette.ADAPTIVE).save(picture, optimize=True)
