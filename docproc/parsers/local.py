"""The local parser: text formats as they are, with the extra ``local`` PDF and Office files too; free of charge."""

from __future__ import annotations

from docproc.errors import ConfigError
from docproc.model import Page, ParseResult
from docproc.parsers import TEXT_EXTENSIONS
from docproc.text import decode

VERSION = "local@1"


def parse(data: bytes, extension: str) -> ParseResult:
    """The pages of a document; text formats have one.

    Raises PermanentError ``parse.unreadable`` and ``parse.rejected``, and ConfigError when the extra is not installed.
    """
    if extension in TEXT_EXTENSIONS:
        text = decode(data)
        if extension in (".html", ".htm"):
            from docproc.parsers.html import to_markdown

            text = to_markdown(text)
        return ParseResult((Page(1, text),), VERSION)
    try:
        from docproc.parsers.extraction import extract

        return ParseResult(extract(data, extension), VERSION)
    except ImportError as error:
        raise ConfigError(
            "config.missing",
            f"{extension} cannot be parsed locally",
            why=str(error),
            try_="pip install 'docproc[local]'",
        ) from None
