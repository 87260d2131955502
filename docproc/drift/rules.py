"""How much a difference matters and why: the table that docs/baselines.md shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Rule:
    """What a difference of ``kind`` in a key like ``pattern`` means; the first rule that fits counts."""

    kind: str
    pattern: str
    severity: str
    why: str

    def fits(self, kind: str, what: str) -> bool:
        """Whether it is about ``what``."""
        return kind == self.kind and fnmatchcase(what, self.pattern)


RULES = (
    Rule("configuration", "chunker.name", "error", "the same document is cut into other chunks"),
    Rule("configuration", "embedder.model", "error", "vectors of two models cannot be compared"),
    Rule("configuration", "embedder.dimensions", "error", "vectors of other dimensions cannot be compared"),
    Rule("configuration", "embedder.service", "error", "vectors of the mock say nothing about those of the provider"),
    Rule("configuration", "parser.service", "error", "parses of the mock say nothing about those of the provider"),
    Rule("configuration", "parser.tier", "error", "another tier is another parse, at another price"),
    Rule("configuration", "parser.version", "error", "another version is another parse"),
    Rule("configuration", "storage.backend", "error", "what was stored in one place is not found in the other"),
    Rule("configuration", "mocks.*", "info", "the mock services alone"),
    Rule("configuration", "home", "info", "a path of the machine"),
    Rule("configuration", "profile", "info", "the baseline is that of another profile"),
    Rule("configuration", "*", "warn", "docproc may do something else, or at another pace"),
    Rule("secret", "*", "warn", "another place or account, or a key that was changed"),
    Rule("schema", "version", "error", "other migrations were applied"),
    Rule("schema", "*", "error", "tables, indexes, functions or views are others"),
    Rule("version", "docproc", "warn", "another docproc"),
    Rule("version", "*", "warn", "another release line; within one it is info"),
)
"""Every difference fits one of these; the last of a kind takes what is left."""

MEANT = (
    Rule("configuration", "parser.service", "info", "meant to differ: each profile chooses its services"),
    Rule("configuration", "embedder.service", "info", "meant to differ: each profile chooses its services"),
    Rule("configuration", "storage.*", "info", "meant to differ: each profile chooses its storage"),
    Rule("configuration", "parser.timeout", "info", "meant to differ: the default is shorter in the profile local"),
    Rule(
        "configuration",
        "parser.reconcile_grace",
        "info",
        "meant to differ: the default is shorter in the profile local",
    ),
    Rule("secret", "*", "info", "meant to differ: each profile has its own"),
)
"""Stand before the others when two profiles are compared, rather than one with its own past."""

_LINE = {"python": 2}
"""Numbers that name a release line, where it is not those up to the first that is not 0."""


def rule(kind: str, what: str, *, profiles: bool = False) -> Rule:
    """The rule for a difference of ``kind`` in ``what``; ``profiles``: between two profiles."""
    return next(rule for rule in ((*MEANT, *RULES) if profiles else RULES) if rule.fits(kind, what))


def same_line(what: str, one: object, other: object) -> bool:
    """Whether two versions are of one release line: 16.4 and 16.6, 0.8.1 and 0.8.4, but not 0.7 and 0.8."""
    lines = {_line(what, str(version)) for version in (one, other)}
    return len(lines) == 1 and None not in lines


def _line(what: str, version: str) -> tuple[int, ...] | None:
    found = re.match(r"\d+(?:\.\d+)*", version)
    if found is None:
        return None
    numbers = tuple(int(number) for number in found[0].split("."))
    first = next((n for n, number in enumerate(numbers) if number), len(numbers) - 1)
    return numbers[: _LINE.get(what, first + 1)]
