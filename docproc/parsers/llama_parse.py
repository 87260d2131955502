"""LlamaParse through the SDK ``llama-cloud`` 0.1.46, which the package ``llama-parse`` brings."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from docproc.http import IMPORTING
from docproc.parsers.llamaparse_wire import LIST_ROWS, Json, LlamaParse, content, in_our_words, refusal

if TYPE_CHECKING:
    import httpx

    from docproc.settings import ParserSettings


class LlamaParseParser(LlamaParse):
    """LlamaParse v2 at ``base_url`` (None: the vendor's own address).

    Address, headers, connection and upload are the SDK's. The other calls go over its connection and not through its
    methods: those cannot send ``user_metadata`` nor ask the list for a time, so that a job whose answer was lost could
    not be found again and would be bought twice; they drop ``usage``, fail at a state that is newer than they are, and
    there are none to cancel or to ask for versions.
    """

    def __init__(self, settings: ParserSettings, *, base_url: str | None, api_key: str) -> None:
        super().__init__(settings, api_key=api_key)
        self._address = {"base_url": base_url, "token": api_key}

    @cached_property
    def _client(self) -> Any:
        with IMPORTING:
            import httpx
            from llama_cloud.client import LlamaCloud  # type: ignore[import-not-found,unused-ignore]

        timeout = httpx.Timeout(self._settings.timeout)

        def keep_to_timeout(request: httpx.Request) -> None:
            # The SDK's methods ask for 60 s of their own, whatever the client was made with.
            request.extensions["timeout"] = timeout.as_dict()

        connection = httpx.Client(
            follow_redirects=True, event_hooks={"request": [keep_to_timeout], "response": [_refuse]}
        )
        weakref.finalize(self, connection.close)
        return LlamaCloud(**self._address, httpx_client=connection)

    def _request(self, method: str, path: str, **options: Any) -> Json:
        sdk = self._client._client_wrapper
        url = f"{sdk.get_base_url().rstrip('/')}/api/v2/parse{path}"
        return content(sdk.httpx_client.request(method, url, headers=sdk.get_headers(), **options))

    @in_our_words()
    def _upload(self, file: BinaryIO, name: str, client_ref: str) -> Json:
        # Not client.files.upload_file: it names no purpose, and the purpose decides how long the service keeps a file.
        stored = self._client.beta.upload_file(file=(name, file), purpose="parse", external_file_id=client_ref)
        return {"id": stored.id}

    @in_our_words()
    def _create(self, options: Json) -> Json:
        return self._request("POST", "", json=options)

    @in_our_words()
    def _get(self, external_id: str, expand: list[str]) -> Json:
        return self._request("GET", _path(external_id), params={"expand": expand})

    @in_our_words()
    def _list(self, since: str, page_token: str | None) -> Json:
        query = {"created_at_on_or_after": since, "page_size": LIST_ROWS}
        return self._request("GET", "", params=query | ({"page_token": page_token} if page_token else {}))

    @in_our_words()
    def _cancel(self, external_id: str) -> None:
        self._request("POST", f"{_path(external_id)}/cancel")

    @in_our_words()
    def _delete(self, external_id: str) -> None:
        self._request("DELETE", _path(external_id))

    @in_our_words()
    def _versions(self) -> Json:
        return self._request("GET", "/versions")


def _path(external_id: str) -> str:
    return f"/{quote(external_id, safe='')}"


def _refuse(response: httpx.Response) -> None:
    """Raises before the SDK reads a refusal: its own errors lose Retry-After, and fail at a 422 it does not know."""
    if not response.is_success and not response.has_redirect_location:
        response.read()
        raise refusal(response)
