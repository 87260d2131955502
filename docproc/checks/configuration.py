"""Checks of the settings: whether they make sense together."""

from __future__ import annotations

from datetime import UTC, datetime

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.postgres.indexes import MOST_DIMENSIONS, kind_for
from docproc.prices import GOOD_FOR, Prices

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""The most that each of OpenAI's models gives, from its documentation."""

FIXED = ("text-embedding-ada-002",)
"""Models that give no fewer."""


def sense(it: Deployment) -> Finding:
    """Does the chunker exist, and do lease, heartbeat and timeouts fit together?"""
    from docproc import chunkers

    settings = it.app.settings
    chunkers.get(settings.chunker.name)
    if settings.runner.heartbeat * 3 > settings.runner.lease:
        return problem("the heartbeat is slower than a third of the lease", "lower [runner] heartbeat")
    slowest = max(settings.parser.timeout, settings.embedder.timeout)
    if slowest >= settings.runner.lease:
        return problem(f"a call may take {slowest:.0f} s, longer than the lease", "raise [runner] lease")
    return ok(f"profile {settings.profile}, {len(settings.origins)} values set")


def dimensions(it: Deployment) -> Finding:
    """Does the model give vectors of so many dimensions?"""
    told = it.app.settings.embedder
    most = DIMENSIONS.get(told.model)
    seen = f"{told.dimensions} dimensions of {told.model}"
    if told.dimensions == 0 or (most is not None and told.dimensions > most):
        return problem(seen, expected=f"1 to {most or 'what the model gives'}")
    if told.model in FIXED and told.dimensions != most:
        return problem(seen, expected=f"{most}, of this model")
    return ok(seen)


def index(it: Deployment) -> Finding:
    """Can an index hold vectors of so many dimensions, as the settings want one?"""
    told, wanted = it.app.settings.embedder.dimensions, it.app.settings.search.index
    kind = kind_for(wanted, told)
    if wanted != "none" and kind == "none":
        most = MOST_DIMENSIONS["halfvec"]
        return problem(f"{told} dimensions: no index has more than {most:,}, search would read every vector")
    return ok(f"{told} dimensions, index {kind}")


def prices(it: Deployment) -> Finding:
    """Were the prices that estimates and budgets go by looked up within half a year?"""
    told = Prices.of(it.app.settings.prices)
    seen = f"as of {told.as_of}"
    if not told.stale:
        return ok(seen)
    return problem(f"{seen}, {told.age_days(datetime.now(UTC).date())} days old", expected=f"at most {GOOD_FOR} days")


CHECKS = (
    Check(
        "configuration.sense",
        "configuration",
        "error",
        "a known chunker, heartbeat < lease / 3, timeouts < lease",
        "correct docproc.toml",
        sense,
    ),
    Check(
        "configuration.dimensions",
        "configuration",
        "error",
        "what the model gives",
        "correct [embedder] dimensions",
        dimensions,
    ),
    Check(
        "configuration.index",
        "configuration",
        "warn",
        "at most 4,000 dimensions",
        'ask the model for at most 4,000 [embedder] dimensions, or set [search] index = "none"',
        index,
    ),
    Check(
        "configuration.prices",
        "configuration",
        "warn",
        f"at most {GOOD_FOR} days old",
        "compare [prices] with the price pages of LlamaCloud (credits) and OpenAI (embeddings), then set as_of",
        prices,
    ),
)
