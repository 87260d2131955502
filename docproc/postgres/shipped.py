"""The schema as every version of the migrations makes it, and how a live one differs from that."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

Catalogue = Mapping[tuple[str, str], str]
"""Kind and name of everything in the schema, with its definition, as ``live_catalogue.sql`` gives them."""

Row = tuple[str, str, str, int, int | None]
"""Kind, name and definition, the version that made it, and the version that it was gone with (None: it is there)."""

KINDS = ("table", "column", "constraint", "index", "statistics", "trigger", "function", "view")
"""What a catalogue is made of, beside the ``move STATE`` rows that say which changes of state are allowed."""

INDEX_ON_VECTORS = re.compile(r"docproc\.document_vector_buffer_(hnsw|halfvec)_[0-9a-f]{12}")
"""Built after a run, one a model; the check ``data.index`` looks after them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is ``missing``, ``changed`` or ``unexpected``, with the SQL that mends it, if there is any."""

    what: str
    kind: str
    name: str
    sql: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.kind} {self.name}"


def catalogue(rows: Iterable[Row], version: int) -> Catalogue:
    """What ``rows`` hold at ``version``."""
    return {
        (kind, name): definition
        for kind, name, definition, since, until in rows
        if since <= version and (until is None or version < until)
    }


def _read() -> tuple[Row, ...]:
    rows = json.loads((files("docproc.postgres") / "shipped.json").read_text("utf-8"))
    return tuple((kind, name, definition, since, until) for kind, name, definition, since, until in rows)


ROWS = _read()
"""What the migrations make, version by version; a test writes and guards the file."""

SHIPPED: Catalogue = {(kind, name): definition for kind, name, definition, _, until in ROWS if until is None}
"""What the latest of them makes."""


def differences(live: Catalogue, kinds: Container[str], shipped: Catalogue | None = None) -> list[Difference]:
    """What of ``kinds`` is missing in ``live`` or defined in another way than ``shipped`` (by default the latest)."""
    shipped = SHIPPED if shipped is None else shipped
    found = []
    for (kind, name), definition in shipped.items():
        if kind not in kinds:
            continue
        have = live.get((kind, name))
        if have is None:
            found.append(Difference("missing", kind, name, _make(kind, name, definition, live, shipped)))
        elif _plain(kind, have) != _plain(kind, definition):
            found.append(Difference("changed", kind, name, _change(kind, name, definition, have)))
    return found


def invalid(live: Catalogue) -> list[Difference]:
    """Indexes that Postgres does not use because their build did not end well."""
    names = [name for kind, name in live if kind == "invalid index" and not INDEX_ON_VECTORS.fullmatch(name)]
    return [Difference("invalid", "index", name, f"REINDEX INDEX CONCURRENTLY {name};") for name in names]


def unexpected(live: Catalogue) -> list[Difference]:
    """What stands in the schema and is not docproc's; the other half of a renaming is not told twice."""
    renamed = {new for kind, name in SHIPPED if kind == "column" and (new := _renamed(name, live, SHIPPED))}
    return [
        Difference("unexpected", kind, name)
        for kind, name in live
        if (kind, name) not in SHIPPED
        and kind != "invalid index"
        and not INDEX_ON_VECTORS.fullmatch(name)
        and name not in renamed
    ]


def _make(kind: str, name: str, definition: str, live: Catalogue, shipped: Catalogue) -> str:
    table, _, part = name.partition(".")
    match kind:
        case "index" | "statistics" | "trigger" | "function":
            return f"{definition.rstrip()};"
        case "view":
            return f"CREATE VIEW {name} AS{definition}"
        case "constraint":
            return f"ALTER TABLE docproc.{table} ADD CONSTRAINT {part} {definition};"
        case "column" if new := _renamed(name, live, shipped):
            return f"ALTER TABLE docproc.{table} RENAME COLUMN {new.partition('.')[2]} TO {part};"
    return ""


def _change(kind: str, name: str, definition: str, have: str) -> str:
    table, _, part = name.partition(".")
    match kind:
        case "function":
            return f"{definition.rstrip()};"
        case "view":
            return f"CREATE OR REPLACE VIEW {name} AS{definition}"
        case "trigger" if have == f"{definition} DISABLED":
            return f"ALTER TABLE docproc.{table} ENABLE TRIGGER {part};"
        case "trigger":
            return f"DROP TRIGGER {part} ON docproc.{table}; {definition};"
        case "constraint" if have == f"{definition} NOT VALID":
            return f"ALTER TABLE docproc.{table} VALIDATE CONSTRAINT {part};"
        case "constraint":
            drop = f"DROP CONSTRAINT {part}"
            return f"ALTER TABLE docproc.{table} {drop}, ADD CONSTRAINT {part} {definition};"
        case "index" | "statistics":
            return f"DROP {kind.upper()} {name}; {definition};"
        case "column":
            return "".join(f"ALTER TABLE docproc.{table} ALTER COLUMN {part} {c};" for c in _column(definition, have))
    return ""


def _column(definition: str, have: str) -> Iterator[str]:
    """What makes the column as it was, where its type is right; a changed type is for a person to judge."""
    default = r" DEFAULT (.*?)(?: NOT NULL)?$"
    wanted, found = re.search(default, definition), re.search(default, have)
    if definition == f"{have} NOT NULL":
        yield "SET NOT NULL"
    elif f"{definition} NOT NULL" == have:
        yield "DROP NOT NULL"
    elif wanted and re.sub(default, "", have).startswith(definition.partition(" DEFAULT ")[0]):
        yield f"SET DEFAULT {wanted[1]}"
    elif found and not wanted and re.sub(r" DEFAULT .*?(?= NOT NULL$|$)", "", have) == definition:
        yield "DROP DEFAULT"


def _renamed(name: str, live: Catalogue, shipped: Catalogue) -> str:
    """The column that ``name`` seems to have become: the only new one of its table with the same definition."""
    if ("column", name) in live:
        return ""
    table, definition = name.partition(".")[0], shipped["column", name]
    new = [
        other
        for (kind, other), have in live.items()
        if kind == "column"
        and other.startswith(f"{table}.")
        and ("column", other) not in shipped
        and have == definition
    ]
    return new[0] if len(new) == 1 else ""


def _plain(kind: str, definition: str) -> str:
    """``definition`` without what versions of Postgres write in different ways: blanks, and a view's qualifiers."""
    if kind != "view":
        return definition
    return re.sub(r"\s+|[()]", "", re.sub(r"\b[a-z_]+\.(?=[a-z_])", "", definition))
