"""Every bad response of the embedder: what becomes of the document it strikes, of its neighbours, and of the money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from docproc.errors import Exit, ProgramError
from docproc.postgres.database import Database
from docproc.settings import Settings
from docproc.states import Command, State
from mocks.faults import FAULTS
from tests.conftest import MakeApp
from tests.integration.bench import Bench, bring_all, drain
from tests.support import ROOT, Mocks, wait_until

BAD = "bad.md"
NEIGHBOURS = 9


@dataclass(frozen=True, slots=True)
class Row:
    """What one fault does to ten documents of one chunk each that share a request; it strikes the text of one of them.

    ``struck`` are the requests that it may strike, ``tries`` the failed ones of the document, ``shared`` those of each
    neighbour, ``bought`` the inputs that were billed. Ten would be bought without a fault.
    """

    struck: tuple[int, ...]
    bought: int
    state: State = State.COMPLETE
    code: str = ""
    tries: int = 0
    shared: int = 0
    stops: Exit = Exit.OK
    options: str = ""


def spoilt(code: str = "embed.bad_response", *, billed: bool = True, options: str = "") -> Row:
    """Five tries: two with all ten in a request, then the document alone; its neighbours are complete with the third.

    A billed answer costs its inputs each time: 10 and 10, then 9 for the neighbours and one for each try alone.
    """
    bought = 10 + 10 + 9 + 3 if billed else 9
    return Row((5,), bought, State.FAILED_EMBEDDING, code, tries=5, shared=2, options=options)


def stopped(exit_code: Exit) -> Row:
    """The run stops at once, everything stays due and nothing is bought."""
    return Row((1,), 0, State.EMBEDDING_IN_PROGRESS, stops=exit_code)


ROWS = {
    "openai.unauthorized": stopped(Exit.CREDENTIALS),
    "openai.model_not_found": stopped(Exit.USAGE),
    # Halved until the text stands alone: four or five refusals, by its place among the ten.
    "openai.bad_input": Row((4, 5), 9, State.FAILED_EMBEDDING, "embed.rejected", tries=1),
    "openai.rate_limit": Row((3,), 10, options="times=3,retry_after=0.05"),
    "openai.insufficient_quota": stopped(Exit.MONEY),
    "openai.server_error": spoilt("embed.unavailable", billed=False),
    "openai.unavailable": spoilt("embed.unavailable", billed=False),
    "openai.slow": spoilt("embed.unavailable", options="seconds=3"),
    "openai.truncated": spoilt(),
    "openai.reset": spoilt("embed.unavailable"),
    "openai.html_answer": spoilt(),
    "openai.empty_answer": spoilt(),
    "openai.too_few": spoilt(),
    "openai.too_many": spoilt(),
    "openai.wrong_order": Row((1,), 10),
    # Alone, the index 0 is the right one.
    "openai.repeated_index": Row((3,), 10 + 10 + 10, code="embed.bad_response", tries=2, shared=2),
    "openai.wrong_dimensions": spoilt(),
    "openai.nan": spoilt(),
    "openai.inf": spoilt(),
    "openai.zero": spoilt(),
    "openai.null": spoilt(),
}
"""The catalogue, row by row; docs/embedding.md shows it."""

TIMEOUT = 1.5
"""Seconds after which ``openai.slow`` is given up: long for every other answer, short for a test."""


@pytest.fixture
def bench(database: Database) -> Bench:
    """Rows to look at."""
    return Bench(database)


def table() -> Iterator[str]:
    """The rows as docs/embedding.md shows them."""
    for name, row in ROWS.items():
        end = "complete" if row.state is State.COMPLETE else f"`{row.state}`, `{row.code}`"
        if row.stops:
            end = f"stays due; the run stops with exit {row.stops.value}"
        shared = "–" if row.stops else row.shared
        description = FAULTS[name].description
        yield f"| `{name}` | {description} | {end} | {row.tries} | {shared} | {row.bought} |"


def test_every_fault_of_the_catalogue_has_a_row() -> None:
    assert list(ROWS) == [name for name in FAULTS if name.startswith("openai.")]


def test_the_page_shows_these_rows() -> None:
    assert "\n".join(table()) + "\n" in (ROOT / "docs/embedding.md").read_text("utf-8")


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("openai.")])
def test_a_bad_response_costs_one_document_and_its_neighbours_complete(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path, name: str
) -> None:
    row = ROWS[name]
    app = make_app(
        embedder=replace(settings.embedder, timeout=TIMEOUT),
        # Long waits, which the test ends itself: so all ten are due at a time, and share their requests again.
        runner=replace(settings.runner, backoff_base=600.0, backoff_cap=600.0),
    )
    files = {f"{n}.md": f"# Note {n}\n\nThe words of note number {n}.\n" for n in range(NEIGHBOURS)}
    bring_all(app, tmp_path, files | {BAD: "# POISON\n\nThe words that nobody takes.\n"})
    drain(app, Command.PARSE, Command.VALIDATE, Command.CHUNK)
    services.set_faults(",".join(filter(None, (f"{name}:match=POISON", row.options))))
    billed, logged = services.bill()["embedding_inputs"], len(services.log())

    stops = Exit.OK
    for _ in range(settings.runner.max_attempts):
        try:
            drain(app, Command.EMBED, stay=False)
        except ProgramError as error:
            stops = error.exit_code
            break
        bench.make_due()

    # The log is written when an answer is ready, which may be after we gave it up.
    wait_until(lambda: strikes(services, logged, name) >= row.struck[0])
    assert strikes(services, logged, name) in row.struck
    assert services.bill()["embedding_inputs"] - billed == row.bought
    codes = {file: codes_of(bench, file) for file in bench.jobs()}
    bad = codes.pop(BAD)
    assert (bench.jobs()[BAD]["status"], bad, stops) == (row.state, [row.code] * row.tries, row.stops)
    for file, seen in codes.items():
        neighbour = row.state if row.stops else State.COMPLETE
        assert (bench.jobs()[file]["status"], len(seen)) == (neighbour, row.shared), file
    if row.stops:
        services.set_faults()
        drain(app, Command.EMBED)
        assert set(bench.states().values()) == {"complete"}


def strikes(services: Mocks, logged: int, name: str) -> int:
    """How often the fault has struck since the log had ``logged`` rows, by the service's own word."""
    return sum(entry["faults"].count(name) for entry in services.log()[logged:])


def codes_of(bench: Bench, file: str) -> list[str]:
    """The error codes in the history of a document."""
    return [event["code"] for event in bench.events(bench.jobs()[file]["job_id"]) if event["code"]]
