"""Outcomes drawn at random: everything that a stage may return for a job, with the product that belongs to it."""

from __future__ import annotations

import hypothesis.strategies as st

from docproc.errors import PermanentError, TransientError
from docproc.model import Advance, Chunked, Done, Fail, Job, Outcome, Parsed, Product, Retry, Wait
from docproc.states import FINAL, State
from tests.chaos.queue_model import ahead
from tests.integration.bench import chunks_of

CODES = ["parse.failed", "embed.rejected"]
LATER = 1000.0
"""Seconds until a job is due again that waits; far beyond the end of a test."""


@st.composite
def outcomes(draw: st.DrawFn, job: Job) -> Outcome:
    """Any outcome that a stage may return for ``job``."""
    error = draw(st.sampled_from(CODES))
    targets = ahead(job.status)
    after = draw(st.sampled_from([0.0, LATER]))
    match draw(st.sampled_from([Done, Done, Done, Advance, Wait, Retry, Fail])):
        case kind if kind is Advance and any(state not in FINAL for state in targets):
            return Advance(draw(st.sampled_from([state for state in targets if state not in FINAL])))
        case kind if kind is Wait:
            return Wait(after, "not yet")
        case kind if kind is Retry:
            return Retry(TransientError(error, "it broke"), draw(st.sampled_from([None, after])))
        case kind if kind is Fail:
            return Fail(PermanentError(error, "it is broken"))
    to = draw(st.sampled_from([*targets, targets[-1]]))
    return Done(to, product_of(job, to), after)


def product_of(job: Job, to: State) -> Product | None:
    """What a stage brings when it moves ``job`` to ``to``."""
    if to in (State.PARSED, State.PARSE_VALIDATED):
        return Parsed(f"storage://parsed/default/{job.document_id}.md", sha=str(job.fence), progress={"pages_total": 1})
    if to is State.CHUNKS_STORED:
        return Chunked(chunks_of(f"first of {job.job_id}", f"second of {job.job_id}"))
    return None
