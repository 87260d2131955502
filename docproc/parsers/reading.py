"""Runs kreuzberg on one file and turns whatever it raises into docproc's errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from docproc.errors import PermanentError

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

TIMEOUT_SECONDS = 300
"""After this long kreuzberg gives a file up: a 700-page manual takes about ten seconds."""

MAX_COUNTED_BYTES = 128 * 1024 * 1024
"""The largest PDF whose pages are counted: kreuzberg holds the file in memory to open it."""

MARK = "docprocpagebreak7c1f0e5d9a"
"""Stands where a page begins while kreuzberg reads; letters and digits only, so that no Markdown rule touches it."""


_OFFICE = "application/vnd.openxmlformats-officedocument."
_MIME = {
    ".pdf": "application/pdf",
    ".docx": _OFFICE + "wordprocessingml.document",
    ".pptx": _OFFICE + "presentationml.presentation",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".html": "text/html",
}


def unreadable(why: str) -> NoReturn:
    """Raises PermanentError ``parse.unreadable``; ``why`` must not quote the file."""
    raise PermanentError("parse.unreadable", "the file cannot be read", why=why)


def rejected() -> NoReturn:
    """Raises PermanentError ``parse.rejected``: the file needs a password."""
    raise PermanentError("parse.rejected", "the file cannot be opened", why="it is protected by a password")


_counting = threading.Lock()


def count_pdf_pages(file: BinaryIO) -> int | None:
    """The number of pages of a PDF, None when it is larger than ``MAX_COUNTED_BYTES``. Raises as ``run_kreuzberg``."""
    import kreuzberg

    if file.seek(0, 2) > MAX_COUNTED_BYTES:
        return None
    file.seek(0)
    # By its descriptor: the file may have no name. One at a time, for the memory that each takes.
    with _counting, _in_our_words(".pdf"), kreuzberg.PdfPageIterator(f"/dev/fd/{file.fileno()}") as pages:
        return len(pages)


def run_kreuzberg(data: bytes, kind: str) -> ExtractionResult:
    """What kreuzberg finds in ``data`` of ``kind`` (``.pdf``).

    Its messages may quote the file, so none of them is passed on: PermanentError as ``unreadable`` and ``rejected``.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format="markdown",
        enable_quality_processing=False,
        postprocessor=kreuzberg.PostProcessorConfig(enabled=False),
        pages=kreuzberg.PageConfig(
            extract_pages=True, insert_page_markers=True, marker_format=f"\n\n{MARK}{{page_num}}\n\n"
        ),
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False, include_watermarks=True
        ),
        html_options={"preprocessing": {"enabled": False}},
        extraction_timeout_secs=TIMEOUT_SECONDS,
    )
    with _in_our_words(kind):
        return kreuzberg.extract_bytes_sync(data, _MIME[kind], config)


@contextmanager
def _in_our_words(kind: str) -> Iterator[None]:
    import kreuzberg

    try:
        yield
    except kreuzberg.ExtractionTimeoutError:
        unreadable(f"reading it took more than {TIMEOUT_SECONDS} seconds")
    except (kreuzberg.KreuzbergError, OSError, RuntimeError, ValueError) as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            rejected()
        unreadable(f"it is damaged, or not {kind[1:].upper()}")
    except BaseException as error:
        # A panic inside kreuzberg arrives as PyO3's PanicException, which is no Exception and would end the thread.
        if type(error).__name__ != "PanicException":
            raise
        unreadable("its content brings the reader to a fault")
