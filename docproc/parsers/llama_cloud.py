"""LlamaParse through the vendor's SDK ``llama-cloud`` 2, the one of a plain install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from docproc.http import IMPORTING
from docproc.parsers.llamaparse_wire import LIST_ROWS, Json, LlamaParse, content, in_our_words, refusal, unavailable

if TYPE_CHECKING:
    from llama_cloud import LlamaCloud

    from docproc.settings import ParserSettings


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Turns the SDK's exceptions into docproc's, by class and status, never by text."""
    with IMPORTING:
        import llama_cloud
    with in_our_words():
        try:
            yield
        except llama_cloud.APIStatusError as error:
            raise refusal(error.response) from None
        except llama_cloud.APIConnectionError as error:
            raise unavailable(error.__cause__ or error) from None


class LlamaCloudParser(LlamaParse):
    """LlamaParse v2 at ``base_url`` (None: the vendor's own address).

    The calls are the SDK's, their answers are read as JSON: its models turn ``{}`` into an object full of None and a
    page of HTML into a string, and its list then has no jobs.
    """

    def __init__(self, settings: ParserSettings, *, base_url: str | None, api_key: str) -> None:
        super().__init__(settings, api_key=api_key)
        self._address = {"base_url": base_url, "api_key": api_key}

    @property
    def _client(self) -> LlamaCloud:
        with IMPORTING:
            return self._made

    @cached_property
    def _made(self) -> LlamaCloud:
        from llama_cloud import LlamaCloud

        # Retries are ours: the SDK's repeat POSTs without an idempotency key and so buy twice.
        made = LlamaCloud(**self._address, timeout=self._settings.timeout, max_retries=0)  # type: ignore[arg-type]
        _ = made.files, made.parsing
        return made

    @_in_our_words()
    def _upload(self, file: BinaryIO, name: str, client_ref: str) -> Json:
        # Not parsing.create(upload_file=…): that drops user_metadata, and with it our way to find the job again.
        files = self._client.files.with_raw_response
        answer = files.create(file=(name, file), purpose="parse", external_file_id=client_ref)
        return content(answer.http_response)

    @_in_our_words()
    def _create(self, options: Json) -> Json:
        return content(self._client.parsing.with_raw_response.create(**options).http_response)

    @_in_our_words()
    def _get(self, external_id: str, expand: list[str]) -> Json:
        return content(self._client.parsing.with_raw_response.get(external_id, expand=expand).http_response)

    @_in_our_words()
    def _list(self, since: str, page_token: str | None) -> Json:
        jobs = self._client.parsing.with_raw_response
        answer = jobs.list(created_at_on_or_after=since, page_size=LIST_ROWS, page_token=page_token)
        return content(answer.http_response)

    @_in_our_words()
    def _cancel(self, external_id: str) -> None:
        content(self._client.parsing.with_raw_response.cancel(external_id).http_response)

    @_in_our_words()
    def _delete(self, external_id: str) -> None:
        content(self._client.parsing.with_raw_response.delete(external_id).http_response)

    @_in_our_words()
    def _versions(self) -> Json:
        return content(self._client.parsing.with_raw_response.list_versions().http_response)
