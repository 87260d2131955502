"""A chunker's parameters: their bounds, and the version that names them."""

from __future__ import annotations

from dataclasses import field, fields
from typing import TYPE_CHECKING, Any

from docproc.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_TOKENS = 8191
"""The longest input of OpenAI's embedding models, in tokens (platform.openai.com/docs/guides/embeddings)."""


def parameter(default: int, least: int, most: int) -> int:
    """A dataclass field for a whole number from ``least`` to ``most``."""
    number: int = field(default=default, metadata={"least": least, "most": most})
    return number


def check(chunker: DataclassInstance) -> None:
    """Raises ConfigError (``config.invalid``) when a parameter of ``chunker`` is out of its bounds."""
    for one in fields(chunker):
        value, least, most = getattr(chunker, one.name), one.metadata["least"], one.metadata["most"]
        if not least <= value <= most:
            raise ConfigError(
                "config.invalid",
                f"the chunker's {one.name} is {value}",
                why=f"it goes from {least} to {most}",
            )


def version(revision: str, chunker: DataclassInstance) -> str:
    """``revision`` and every parameter that is not the default, in the order of the fields: ``1+max=200``."""
    values: list[tuple[str, Any, Any]] = [
        (one.name, getattr(chunker, one.name), one.default) for one in fields(chunker)
    ]
    return revision + "".join(f"+{name}={value}" for name, value, default in values if value != default)
