"""The schema as this version of docproc ships it, and how a live one differs from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Catalogue = Mapping[tuple[str, str], str]
"""Kind and name of everything in the schema, with its definition, as ``live_catalogue.sql`` gives them."""

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


@cache
def _read() -> dict[tuple[str, str], str]:
    rows = json.loads((files("docproc.checks") / "shipped.json").read_text("utf-8"))
    return {(kind, name): definition for kind, name, definition in rows}


SHIPPED: Catalogue = _read()
"""What the migrations make; a test writes and guards the file."""


def differences(live: Catalogue, kinds: tuple[str, ...]) -> list[Difference]:
    """What of ``kinds`` is missing in ``live`` or defined in another way than shipped."""
    found = []
    for (kind, name), definition in SHIPPED.items():
        if kind not in kinds:
            continue
        have = live.get((kind, name))
        if have is None:
            found.append(Difference("missing", kind, name, _make(kind, name, definition, live)))
        elif _plain(kind, have) != _plain(kind, definition):
            found.append(Difference("changed", kind, name, _change(kind, name, definition, have)))
    return found


def invalid(live: Catalogue) -> list[Difference]:
    """Indexes that Postgres does not use because their build did not end well."""
    names = [name for kind, name in live if kind == "invalid index" and not INDEX_ON_VECTORS.fullmatch(name)]
    return [Difference("invalid", "index", name, f"REINDEX INDEX CONCURRENTLY {name};") for name in names]


def unexpected(live: Catalogue) -> list[Difference]:
    """What stands in the schema and is not docproc's; the other half of a renaming is not told twice."""
    renamed = {new for kind, name in SHIPPED if kind == "column" and (new := _renamed(name, live))}
    return [
        Difference("unexpected", kind, name)
        for kind, name in live
        if (kind, name) not in SHIPPED
        and kind != "invalid index"
        and not INDEX_ON_VECTORS.fullmatch(name)
        and name not in renamed
    ]


def _make(kind: str, name: str, definition: str, live: Catalogue) -> str:
    table, _, part = name.partition(".")
    match kind:
        case "index" | "statistics" | "trigger" | "function":
            return f"{definition.rstrip()};"
        case "view":
            return f"CREATE VIEW {name} AS{definition}"
        case "constraint":
            return f"ALTER TABLE docproc.{table} ADD CONSTRAINT {part} {definition};"
        case "column" if new := _renamed(name, live):
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


def _renamed(name: str, live: Catalogue) -> str:
    """The column that ``name`` seems to have become: the only new one of its table with the same definition."""
    if ("column", name) in live:
        return ""
    table, definition = name.partition(".")[0], SHIPPED["column", name]
    new = [
        other
        for (kind, other), have in live.items()
        if kind == "column"
        and other.startswith(f"{table}.")
        and ("column", other) not in SHIPPED
        and have == definition
    ]
    return new[0] if len(new) == 1 else ""


def _plain(kind: str, definition: str) -> str:
    """``definition`` without what versions of Postgres write in different ways: blanks, and a view's qualifiers."""
    if kind != "view":
        return definition
    return re.sub(r"\s+|[()]", "", re.sub(r"\b[a-z_]+\.(?=[a-z_])", "", definition))
