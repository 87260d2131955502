"""Holds the table of states to a chain, and everything derived from it to the table."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import pytest

from docproc.states import (
    FAILED,
    FINAL,
    INITIAL,
    OPEN,
    TRANSITIONS,
    Command,
    State,
    Transition,
    claimed_by,
    failable_into,
    mermaid,
    path,
    transition_from,
)

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
PIPELINE = [
    "uploaded",
    "parse_queued",
    "parsed",
    "parse_validated",
    "chunks_stored",
    "embedding_queued",
    "embedding_in_progress",
    "embeddings_stored",
    "complete",
]
OWNED = {
    Command.PARSE: ["uploaded", "parse_queued"],
    Command.VALIDATE: ["parsed"],
    Command.CHUNK: ["parse_validated"],
    Command.EMBED: ["chunks_stored", "embedding_queued", "embedding_in_progress", "embeddings_stored"],
}
FALLS_FROM = {
    State.FAILED_PARSE: ["uploaded", "parse_queued", "parsed"],
    State.FAILED_CHUNKING: ["parse_validated"],
    State.FAILED_EMBEDDING: ["chunks_stored", "embedding_queued", "embedding_in_progress", "embeddings_stored"],
}
every_row = pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: row.source)


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rows_are_a_chain_from_uploaded_to_complete() -> None:
    assert [TRANSITIONS[0].source, *(row.target for row in TRANSITIONS)] == PIPELINE
    assert [row.source for row in TRANSITIONS] == PIPELINE[:-1]
    assert INITIAL is State.UPLOADED


@every_row
def test_a_row_leads_on_or_into_a_failure(row: Transition) -> None:
    assert transition_from(row.source) is row
    assert row.target not in FAILED
    assert row.failure in FAILED
    assert row.source not in FINAL


def test_every_state_is_either_open_or_final() -> None:
    assert {*OPEN, *FINAL} == set(State)
    assert not {*OPEN} & {*FINAL}
    assert list(OPEN) == PIPELINE[:-1]
    assert FINAL == (State.COMPLETE, State.FAILED_PARSE, State.FAILED_CHUNKING, State.FAILED_EMBEDDING)


@pytest.mark.parametrize("state", FINAL)
def test_no_pipeline_command_leaves_a_final_state(state: State) -> None:
    with pytest.raises(KeyError):
        transition_from(state)


def test_rows_of_one_command_stand_together_in_the_order_of_the_commands() -> None:
    order = list(Command)
    positions = [order.index(row.command) for row in TRANSITIONS]
    assert positions == sorted(positions)
    assert set(positions) == set(range(len(order)))


# ── who may claim, and where jobs fall ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", Command)
def test_a_command_claims_its_own_states_alone(command: Command) -> None:
    assert list(claimed_by(command)) == OWNED[command]


def test_every_open_state_is_claimed_by_exactly_one_command() -> None:
    assert [state for command in Command for state in claimed_by(command)] == list(OPEN)


@pytest.mark.parametrize("failure", FAILED)
def test_a_failure_state_is_reached_from_its_own_states_alone(failure: State) -> None:
    assert list(failable_into(failure)) == FALLS_FROM[failure]


def test_every_failure_state_can_be_reached_and_every_open_state_can_fail() -> None:
    assert set(FAILED) == {state for state in State if state.startswith("failed_")}
    assert [state for failure in FAILED for state in failable_into(failure)] == list(OPEN)


@pytest.mark.parametrize("state", [*OPEN, State.COMPLETE])
def test_nothing_falls_into_a_state_that_is_no_failure(state: State) -> None:
    assert failable_into(state) == ()


# ── path ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_row
def test_a_path_over_one_row_is_its_two_ends(row: Transition) -> None:
    assert path(row.source, row.target) == (row.source, row.target)


def test_a_path_passes_every_state_between() -> None:
    assert path(State.CHUNKS_STORED, State.COMPLETE) == (
        State.CHUNKS_STORED,
        State.EMBEDDING_QUEUED,
        State.EMBEDDING_IN_PROGRESS,
        State.EMBEDDINGS_STORED,
        State.COMPLETE,
    )
    assert path(State.UPLOADED, State.PARSED) == (State.UPLOADED, State.PARSE_QUEUED, State.PARSED)


@pytest.mark.parametrize("state", OPEN)
def test_a_path_to_where_one_is_has_no_step(state: State) -> None:
    assert path(state, state) == (state,)


@pytest.mark.parametrize(("source", "target"), list(product(OPEN, State)))
def test_a_path_exists_exactly_along_the_rows_of_one_command(source: State, target: State) -> None:
    reached = [row.target for row in TRANSITIONS if row.command is transition_from(source).command]
    ahead = reached[list(OWNED[transition_from(source).command]).index(source) :]
    if target is source or target in ahead:
        steps = path(source, target)
        assert (steps[0], steps[-1]) == (source, target)
        assert all(transition_from(one).target is other for one, other in pairwise(steps))
    else:
        with pytest.raises(ValueError, match="does not lead"):
            path(source, target)


@pytest.mark.parametrize("state", FINAL)
def test_no_path_begins_in_a_final_state(state: State) -> None:
    with pytest.raises(KeyError):
        path(state, State.COMPLETE)


# ── the diagram ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_holds_the_diagram_of_the_table() -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```mermaid\n")[1:]
    assert [block.partition("\n```")[0] for block in blocks] == [mermaid()]


@every_row
def test_the_diagram_has_every_edge_of_a_row(row: Transition) -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    assert lines.count(f"{row.source} --> {row.target}: {row.command}") == 1
    assert lines.count(f"{row.source} --> {row.failure}: {row.command} gives up") == 1
    assert lines.count(f"{row.failure} --> {row.source}: retry") == 1


def test_the_diagram_has_no_other_edges() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    assert lines[1] == "[*] --> uploaded: ingest"
    assert lines[-1] == "complete --> [*]"
    assert sum("-->" in line for line in lines) == 3 * len(TRANSITIONS) + 2 == len(lines) - 1
