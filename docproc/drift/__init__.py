"""What an environment is made of, and where it differs from a baseline or from another environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docproc.errors import DocprocError

Part = Mapping[str, Any]
"""Values as JSON has them, by the names of what they belong to."""

LEVELS = ("error", "warn", "info")
"""How much a difference matters, the worst first."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment: what it is told, which keys it has (as fingerprints), what it runs on, its schema.

    ``secrets`` are by the names of their variables: None where one is not set, else its ``fingerprint`` and, of an
    address, where it leads. ``schema`` has ``version`` and ``fingerprint``. Where the database could not be asked,
    ``trouble`` says why and what it knows is missing. ``place`` is host, port and name of the database.
    """

    profile: str
    configuration: Part
    secrets: Part
    versions: Part
    schema: Part
    trouble: DocprocError | None = None
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as in the baseline: ``kind`` is configuration, secret, schema or version.

    ``severity`` is error, warn or info, for the reason ``why``. None stands for what is not there.
    """

    what: str
    kind: str
    baseline: Any
    now: Any
    severity: str
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences from ``to``: a baseline's file, or another profile."""

    to: str
    differences: tuple[Difference, ...] = field(default=())
