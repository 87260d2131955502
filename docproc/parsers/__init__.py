"""Parsers: the local one for text formats, which costs nothing, and the paid service, one file a vendor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from docproc.errors import ConfigError
from docproc.model import ParseResult

if TYPE_CHECKING:
    from docproc.settings import ParserSettings, Settings

TEXT_EXTENSIONS = frozenset({".md", ".markdown", ".txt", ".html", ".htm"})
PAID_EXTENSIONS = frozenset({".pdf", ".docx", ".pptx", ".xlsx"})
EXTENSIONS = TEXT_EXTENSIONS | PAID_EXTENSIONS


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a submitted parse stands: ``waiting``, ``ready``, ``failed`` or ``gone``; ``why`` is the service's word."""

    state: str
    why: str = ""


def settings_id(settings: ParserSettings) -> str:
    """Names the paid parser and every setting that changes its output; a parse is bought once for each."""
    return f"llamaparse:{settings.tier}:{settings.version}"


class Parser(Protocol):
    """A service that parses documents: submitted, then polled, never waited for.

    Every method raises TransientError, ThrottledError, PermanentError, CredentialsError or QuotaError. After a
    TransientError from ``submit`` the service may have taken the job all the same.
    """

    settings_id: str
    """What ``settings_id`` makes of the settings."""

    def upload(self, file: BinaryIO, name: str, client_ref: str) -> str:
        """Hands a document in, by blocks and free of charge; returns the service's id of the file."""

    def submit(self, file_id: str, client_ref: str, *, fresh: bool) -> str:
        """Orders the parse of an uploaded file: the one request that is paid for.

        Returns the service's id of the job; ``fresh`` keeps cached failures out.
        """

    def poll(self, external_id: str) -> Progress:
        """Where the job stands, in one call."""

    def fetch(self, external_id: str) -> ParseResult:
        """The pages of a job that is ready."""

    def cancel(self, external_id: str) -> None:
        """Gives a job up, so that it is not paid for where the service allows."""

    def delete(self, external_id: str) -> None:
        """Removes the job and its result at the service, running or not; it is no error when there is none."""

    def find(self, client_ref: str, since: datetime) -> str | None:
        """The id of the job submitted with ``client_ref``, looked for in the service's list; None when it has none."""

    def check(self) -> tuple[str, ...]:
        """The versions that the service offers, by a call that costs nothing."""


def open_parser(settings: Settings, *, base_url: str | None, api_key: str) -> Parser:
    """The paid parser that the settings name, speaking to ``base_url`` (None: the vendor's own address).

    The installed version of the vendor's SDK decides which adapter it is: 0.x comes with ``llama-parse``, 2 and later
    with a plain install. Raises ConfigError for any other or none, CredentialsError for a key that cannot be sent.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("llama-cloud")
    except PackageNotFoundError:
        installed = "not installed"
    major = installed.partition(".")[0]
    if major == "0":
        from docproc.parsers.llama_parse import LlamaParseParser

        return LlamaParseParser(settings.parser, base_url=base_url, api_key=api_key)
    if major.isdecimal() and int(major) >= 2:
        from docproc.parsers.llama_cloud import LlamaCloudParser

        return LlamaCloudParser(settings.parser, base_url=base_url, api_key=api_key)
    raise ConfigError(
        "config.invalid",
        "docproc cannot speak to LlamaParse through the llama-cloud package that it finds",
        why=installed,
        try_="pip install 'llama-cloud>=2', or pip install 'docproc[llama-parse]' for the SDK of llama-parse",
    )
