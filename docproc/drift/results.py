"""What an environment makes of the same documents: measured by a trial there, compared sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docproc.drift import Comparison, Difference
from docproc.errors import ConfigError
from docproc.smoke import judged
from docproc.trials import Trial, differences

if TYPE_CHECKING:
    from docproc.settings import Settings

_WHY = {
    "state": "a document ends elsewhere",
    "states passed": "documents take another way",
    "dimensions": "vectors of other dimensions cannot be compared",
    "chunks": "the same document is cut into other chunks",
    "chunks shown": "readers see other chunks",
    "vectors": "chunks without vectors are never found",
    "texts": "the chunks have other texts",
}


def compared(to: str, before: Trial, now: Trial, settings: Settings) -> Comparison:
    """Every difference in states, chunks and dimensions; what must be so whatever was before is looked at too."""
    found = [*differences(before, now)]
    known = {(difference.sample, difference.what) for difference in found}
    found += [d for d in judged(now, settings).differences if (d.sample, d.what) not in known]
    told = (
        Difference(f"{d.sample}: {d.what}", "results", d.expected, d.found, d.severity, _WHY.get(d.what, d.what))
        for d in found
    )
    return Comparison(to, tuple(told))


def stored(to: str, results: Any) -> Trial:
    """The trial that a baseline holds. Raises ConfigError when it holds none."""
    try:
        return Trial.of(results)
    except (KeyError, TypeError) as error:
        raise ConfigError(
            "config.invalid",
            f"{to} holds no results",
            why=f"its results are not those of a trial ({type(error).__name__})" if results else "none were measured",
            try_="docproc validate-deploy --write-baseline FILE --results",
        ) from None
