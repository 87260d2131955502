"""The one table of states and transitions that commands, SQL, status, tests and the documentation read."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a job stands; the value is the word that users see and that ``upload_jobs.status`` holds."""

    UPLOADED = "uploaded"
    PARSE_QUEUED = "parse_queued"
    PARSED = "parsed"
    PARSE_VALIDATED = "parse_validated"
    CHUNKS_STORED = "chunks_stored"
    EMBEDDING_QUEUED = "embedding_queued"
    EMBEDDING_IN_PROGRESS = "embedding_in_progress"
    EMBEDDINGS_STORED = "embeddings_stored"
    COMPLETE = "complete"
    FAILED_PARSE = "failed_parse"
    FAILED_CHUNKING = "failed_chunking"
    FAILED_EMBEDDING = "failed_embedding"


class Command(StrEnum):
    """The commands that move jobs along the pipeline, in its order."""

    PARSE = "parse"
    VALIDATE = "validate"
    CHUNK = "chunk"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: ``command`` moves a job from ``source`` to ``target``, or gives up into ``failure``."""

    command: Command
    source: State
    target: State
    failure: State


TRANSITIONS: tuple[Transition, ...] = (
    Transition(Command.PARSE, State.UPLOADED, State.PARSE_QUEUED, State.FAILED_PARSE),
    Transition(Command.PARSE, State.PARSE_QUEUED, State.PARSED, State.FAILED_PARSE),
    Transition(Command.VALIDATE, State.PARSED, State.PARSE_VALIDATED, State.FAILED_PARSE),
    Transition(Command.CHUNK, State.PARSE_VALIDATED, State.CHUNKS_STORED, State.FAILED_CHUNKING),
    Transition(Command.EMBED, State.CHUNKS_STORED, State.EMBEDDING_QUEUED, State.FAILED_EMBEDDING),
    Transition(Command.EMBED, State.EMBEDDING_QUEUED, State.EMBEDDING_IN_PROGRESS, State.FAILED_EMBEDDING),
    Transition(Command.EMBED, State.EMBEDDING_IN_PROGRESS, State.EMBEDDINGS_STORED, State.FAILED_EMBEDDING),
    Transition(Command.EMBED, State.EMBEDDINGS_STORED, State.COMPLETE, State.FAILED_EMBEDDING),
)

INITIAL = TRANSITIONS[0].source
FAILED: tuple[State, ...] = tuple(dict.fromkeys(row.failure for row in TRANSITIONS))
FINAL: tuple[State, ...] = (State.COMPLETE, *FAILED)
OPEN: tuple[State, ...] = tuple(row.source for row in TRANSITIONS)

_BY_SOURCE = {row.source: row for row in TRANSITIONS}


def transition_from(state: State) -> Transition:
    """The row that leaves ``state``. Raises KeyError for a final state, which no pipeline command leaves."""
    return _BY_SOURCE[state]


def claimed_by(command: Command) -> tuple[State, ...]:
    """The states whose jobs ``command`` may claim, in pipeline order."""
    return tuple(row.source for row in TRANSITIONS if row.command is command)


def path(source: State, target: State) -> tuple[State, ...]:
    """The states passed from ``source`` to ``target``, both included, along the rows of one command.

    Raises ValueError when the rows of the command that owns ``source`` do not lead to ``target``.
    """
    command = transition_from(source).command
    states = [source]
    while states[-1] is not target:
        row = _BY_SOURCE.get(states[-1])
        if row is None or row.command is not command:
            raise ValueError(f"{command} does not lead from {source} to {target}")
        states.append(row.target)
    return tuple(states)


def failable_into(failure: State) -> tuple[State, ...]:
    """The states from which a job can fall into ``failure``; ``retry`` sends it back to one of them."""
    return tuple(row.source for row in TRANSITIONS if row.failure is failure)


def mermaid() -> str:
    """The table as a Mermaid state diagram; ``docs/states.md`` holds exactly this text and a test keeps it so."""
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL}: ingest"]
    lines += [f"    {row.source} --> {row.target}: {row.command}" for row in TRANSITIONS]
    lines += [f"    {row.source} --> {row.failure}: {row.command} gives up" for row in TRANSITIONS]
    lines += [f"    {failed} --> {state}: retry" for failed in FAILED for state in failable_into(failed)]
    lines += [f"    {State.COMPLETE} --> [*]"]
    return "\n".join(lines)
