"""A chunker is named by one spelling only, because that spelling is part of every chunk's id."""

import pytest

from docproc import chunkers
from docproc.errors import ConfigError


@pytest.mark.parametrize(
    "spec",
    [
        "markdown-simple@1",
        "markdown-simple@1+max=200",
        "tokens@1",
        "tokens@1+overlap=50",
        "tokens@1+max=512+overlap=50",
    ],
)
def test_a_chunker_is_found_by_the_name_and_version_that_it_gives_itself(spec: str) -> None:
    chunker = chunkers.get(spec)
    assert f"{chunker.name}@{chunker.version}" == spec


def test_the_default_is_a_chunker() -> None:
    assert chunkers.get(chunkers.DEFAULT).name == "markdown-simple"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("markdown-simple@1+max=400", "write markdown-simple@1"),
        ("tokens@1+overlap=50+max=512", "write tokens@1+max=512+overlap=50"),
        ("tokens@1+max=100+max=512", "write tokens@1+max=512"),
        ("markdown-simpel@1", "use markdown-simple@1"),
        ("markdown-simple", "use markdown-simple@1"),
        ("markdown-simple@2", "use markdown-simple@1"),
        ("", "there are: markdown-simple@1, tokens@1"),
        ("markdown-simple@1+maxx=200", "use max"),
        ("markdown-simple@1+max=0200", "max=200"),
        ("markdown-simple@1+max=2e2", "max=200"),
        ("markdown-simple@1+max=٢٠٠", "max=200"),
        ("markdown-simple@1+", "max=200"),
        ("markdown-simple@1+max=31", "from 32 to 8191"),
        ("markdown-simple@1+max=8192", "from 32 to 8191"),
        ("tokens@1+max=100+overlap=51", "at most half of max"),
    ],
)
def test_any_other_spelling_is_refused_with_what_to_write(spec: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        chunkers.get(spec)
    assert refused.value.code == "config.invalid"
    assert told in str(refused.value)
