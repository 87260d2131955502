"""Counts the pages of bytes, by way of a file without a name."""

from __future__ import annotations

import tempfile

from docproc.parsers import extraction


def count_pages(data: bytes, extension: str) -> int | None:
    """What ``extraction.count_pages`` says of a file with these bytes, wherever the file stands."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return extraction.count_pages(file, extension)
