"""The local parser: text formats as they are, with the extra ``local`` PDF and Office files too; free of charge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import BinaryIO, NoReturn

from docproc.errors import ConfigError, PermanentError
from docproc.model import ParseResult
from docproc.text import decode, decoded

VERSION = "local@1"

_HTML = (".html", ".htm")
_SMALL = 500_000
"""Bytes up to which several threads may read PDF and Office files at once."""

_alone = threading.Lock()


def text(file: BinaryIO, extension: str, *, max_bytes: int) -> Iterator[str]:
    """The one page of a text format, by blocks: Markdown and text as they are, HTML as Markdown.

    Raises PermanentError ``parse.too_large`` for HTML of more than ``max_bytes``, which is read as a whole.
    """
    if extension not in _HTML:
        yield from decoded(file)
        return
    from docproc.parsers.html import to_markdown, weight

    # One at a time: it is pure Python, so that threads would share the processor and each take the memory.
    with _alone:
        data = file.read(max_bytes + 1)
        heavy = weight(data)
        if heavy > max_bytes:
            _too_large(heavy, max_bytes)
        markdown = to_markdown(decode(data))
    yield markdown


def pages(file: BinaryIO, extension: str, *, max_bytes: int) -> ParseResult:
    """The pages of a PDF or Office file, which is read as a whole.

    Raises PermanentError ``parse.too_large`` (unpacked), ``parse.unreadable`` and ``parse.rejected``, and ConfigError
    when the extra is not installed.
    """
    try:
        from docproc.parsers.extraction import extract, unpacked_size

        size = unpacked_size(file, extension)
        if size > max_bytes:
            _too_large(size, max_bytes)
        with nullcontext() if size <= _SMALL else _alone:
            return ParseResult(extract(file.read(), extension), VERSION)
    except ImportError as error:
        raise ConfigError(
            "config.missing",
            f"{extension} cannot be parsed locally",
            why=str(error),
            try_="pip install 'docproc[local]'",
        ) from None


def _too_large(size: int, max_bytes: int) -> NoReturn:
    why = f"{size:,} bytes with its tags or unpacked, allowed are {max_bytes:,}"
    raise PermanentError("parse.too_large", "the file is too large to be read here as a whole", why=why)
