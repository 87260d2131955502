"""Embedders: one file a vendor, and the check that every answer passes before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from docproc.errors import TransientError
from docproc.model import Embedded

if TYPE_CHECKING:
    from docproc.settings import Settings


class Embedder(Protocol):
    """A service that turns texts into vectors.

    ``embed`` raises TransientError, ThrottledError, PermanentError, CredentialsError or QuotaError.
    """

    def embed(self, texts: Sequence[str], *, model: str, dimensions: int) -> Embedded:
        """One vector of ``dimensions`` for each of ``texts``, in their order, checked."""

    def close(self) -> None:
        """Closes the connections."""

    def check(self, model: str) -> None:
        """Asks for the model by a call that costs nothing. Raises DocprocError when it is not to be had."""


def checked(answer: Embedded, *, inputs: int, dimensions: int) -> Embedded:
    """``answer`` when it has one finite vector of ``dimensions`` and non-zero length for each input.

    Raises TransientError ``embed.bad_response`` otherwise: pgvector itself would accept a zero vector, whose cosine
    distance is NaN.
    """
    import numpy as np

    vectors = answer.vectors
    if vectors.shape != (inputs, dimensions):
        raise bad_response(f"vectors of shape {vectors.shape}, expected {(inputs, dimensions)}")
    if not np.isfinite(vectors).all():
        raise bad_response("a vector holds NaN or infinity")
    if not (np.einsum("ij,ij->i", vectors, vectors) > 0).all():
        raise bad_response("a vector is zero")
    return answer


def bad_response(why: str) -> TransientError:
    """The error for an answer that must not be written."""
    return TransientError("embed.bad_response", "the embedder's answer was refused", why=why)


def open_embedder(settings: Settings, *, base_url: str | None, api_key: str) -> Embedder:
    """The embedder that the settings name, speaking to ``base_url`` (None: the vendor's own address)."""
    from docproc.embedders.openai import OpenAIEmbedder

    return OpenAIEmbedder(settings.embedder, base_url=base_url, api_key=api_key)
