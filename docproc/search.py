"""Search: words become a vector by the same model as the chunks; what is near it, or has its words, is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc import tokens
from docproc.errors import ConfigError
from docproc.model import dimensions
from docproc.store import end_of
from docproc.text import normalise

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.model import Hit


def search(app: App, words: str, *, limit: int, source: str | None = None, hybrid: bool = False) -> list[Hit]:
    """The best passages of the user's live documents, best first; ``source`` is a part of their path.

    With ``hybrid`` full text search has a say too, and the quotes and minus signs in ``words`` mean something to it.
    Raises ConfigError when there are no words, BudgetError, and the errors of the embedder.
    """
    query, _ = normalise(words)
    if not query.strip():
        raise ConfigError("config.invalid", "no words to look for", try_='docproc search "some words"')
    app.refuse_mixing()
    user, vectors = app.settings.user, app.store.vectors
    # Not the settings' model: while another is being built beside it, the old one serves.
    model, version = app.store.catalogue.serving(user) or app.target.model
    call = vectors.begin_call("search", (), tokens=tokens.count(query), inputs=1, model=model)
    try:
        answer = app.embedder.embed([query], model=model, dimensions=dimensions(version))
    except Exception as error:
        end, code = end_of(error)
        vectors.end_call(call, end, code=code)
        raise
    vectors.end_call(call, "ok", answer)
    pattern = None if source is None else f"%{_literal(source)}%"
    return app.store.search.search(
        answer.vectors[0],
        user=user,
        model=model,
        version=version,
        limit=limit,
        source=pattern,
        words=query if hybrid else None,
    )


def _literal(text: str) -> str:
    """``text`` for LIKE, where %, _ and \\ mean themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
