"""The default chunker leaves the structure of documents whole, which a fixed window does not."""

import pytest

from tests.performance.retrieval.corpus import document
from tests.performance.retrieval.structure import COLUMNS, measure

_DOCUMENTS = [document(seed) for seed in range(1000, 1012)]


@pytest.mark.parametrize("spec", ["markdown-simple@1", "markdown-simple@1+max=200"])
def test_no_table_loses_its_header_and_nothing_that_fits_is_cut(spec: str) -> None:
    found, count, _, _ = measure(spec, _DOCUMENTS)
    assert {column: found[column] for column in COLUMNS[:-1]} == dict.fromkeys(COLUMNS[:-1], 0)
    assert found["under 20"] < count / 50


def test_the_damage_of_fixed_windows_is_seen() -> None:
    found, _, _, _ = measure("tokens@1", _DOCUMENTS)
    assert all(found[column] for column in COLUMNS[:5])
    assert found["over limit"] == 0
