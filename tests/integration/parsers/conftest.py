"""The parser of the installed SDK, speaking to the mocks or to a canned service."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from docproc.parsers import Parser, open_parser
from docproc.settings import ParserSettings, Settings
from tests.integration.parsers.canned import Canned, canned_service
from tests.integration.parsers.service import OpenParser, Service
from tests.support import Mocks


@pytest.fixture(scope="session")
def open_at() -> OpenParser:
    """Opens the parser of the installed SDK at an address, once: an SDK's client takes its time to make."""

    @cache
    def make(address: str, key: str = "any", timeout: float = 10.0) -> Parser:
        return open_parser(Settings(parser=ParserSettings(timeout=timeout)), base_url=address, api_key=key)

    return make


@pytest.fixture
def service(services: Mocks, open_at: OpenParser) -> Service:
    """The parser at the mocks."""
    return Service(open_at(services.address), services)


@pytest.fixture(scope="session")
def _canned() -> Iterator[Canned]:
    with canned_service() as running:
        yield running


@pytest.fixture
def canned(_canned: Canned) -> Canned:
    """A service that says what the test has it say."""
    _canned.answers.clear()
    _canned.asked.clear()
    return _canned
