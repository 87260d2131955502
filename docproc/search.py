"""Search: the words become a vector by the same model as the chunks, and the nearest chunks are the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc import tokens
from docproc.errors import ConfigError
from docproc.text import normalise

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.model import Hit


def search(app: App, words: str, *, limit: int, source: str | None = None) -> list[Hit]:
    """The nearest passages of the user's live documents, best first; ``source`` is a part of their path.

    Raises ConfigError when there are no words, and the errors of the embedder.
    """
    query, _ = normalise(words)
    if not query.strip():
        raise ConfigError("config.invalid", "no words to look for", try_='docproc search "some words"')
    app.refuse_mixing()
    target, vectors = app.target, app.store.vectors
    call = vectors.begin_call("search", (), tokens=tokens.count(query), inputs=1)
    try:
        answer = app.embedder.embed([query], model=target.embed_model, dimensions=app.settings.embedder.dimensions)
    except Exception as error:
        vectors.end_call(call, getattr(error, "code", type(error).__name__))
        raise
    vectors.end_call(call, "ok", answer)
    pattern = None if source is None else f"%{_literal(source)}%"
    return vectors.search(
        answer.vectors[0],
        user=target.user,
        model=target.embed_model,
        version=target.embed_version,
        limit=limit,
        source=pattern,
    )


def _literal(text: str) -> str:
    """``text`` for LIKE, where %, _ and \\ mean themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
