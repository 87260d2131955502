"""Every error docproc knows: what happened, why, what to try, a stable code and an exit code.

DocprocError                    what, why, remedy, a stable code
├── ProgramError                stops the run; carries the exit code
│   ├── ConfigError             2   wrong usage or configuration; nothing started
│   ├── DatabaseError           10  unreachable, full or not set up
│   ├── SchemaError             13  schema older or newer than the program
│   ├── GuardError              6   more would go than is allowed, or something is left
│   ├── CredentialsError        12  a key was refused
│   ├── QuotaError              5   the provider says that the money is used up
│   ├── BudgetError             5   a paid call would go over a budget
│   ├── AlikeError              4   documents fail alike, one after the other
│   └── StoppedError            130 or 143, by the signal that stopped it
└── JobError                    one document's trouble; the other documents go on
    ├── TransientError          goes away by itself: retried with backoff, costs an attempt
    │   └── UnsentError         the request never left, so nothing is to be paid
    ├── ThrottledError          the provider asks to wait: costs no attempt
    └── PermanentError          trying again changes nothing: the job fails at once
"""

from dataclasses import dataclass
from enum import IntEnum
from signal import Signals


class Exit(IntEnum):
    """Exit codes; docs/exit-codes.md says what cron should do about each."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SOME_FAILED = 3
    WORK_LEFT = 4
    MONEY = 5
    PROBLEMS = 6
    DATABASE = 10
    CREDENTIALS = 12
    SCHEMA = 13
    INTERRUPTED = 130
    TERMINATED = 143


PRECEDENCE = (
    Exit.USAGE,
    Exit.SCHEMA,
    Exit.DATABASE,
    Exit.CREDENTIALS,
    Exit.MONEY,
    Exit.WORK_LEFT,
    Exit.FAILED,
    Exit.SOME_FAILED,
    Exit.PROBLEMS,
)
"""Which exit code is told when several apply: the first."""


class DocprocError(Exception):
    """An error with a stable ``code``, told in three parts: ``what`` happened, ``why``, and what to ``try_``."""

    exit_code = Exit.FAILED

    def __init__(self, code: str, what: str, *, why: str = "", try_: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.why = why
        self.remedy = try_ or REMEDIES.get(code, "")

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class ProgramError(DocprocError):
    """Trouble of the whole program: the run stops in good order and the jobs stay due."""


class ConfigError(ProgramError):
    """Wrong usage or configuration; nothing was started."""

    exit_code = Exit.USAGE


class DatabaseError(ProgramError):
    """The database is unreachable, full or not set up."""

    exit_code = Exit.DATABASE


class SchemaError(ProgramError):
    """The schema is older or newer than the program."""

    exit_code = Exit.SCHEMA


class GuardError(ProgramError):
    """More would be withdrawn than is allowed, or what was to go is still there: nothing more is done."""

    exit_code = Exit.PROBLEMS


class CredentialsError(ProgramError):
    """A key was refused."""

    exit_code = Exit.CREDENTIALS


class QuotaError(ProgramError):
    """The provider says that the money is used up."""

    exit_code = Exit.MONEY


class BudgetError(ProgramError):
    """A paid call would go over a budget of one's own; it was not made."""

    exit_code = Exit.MONEY


class AlikeError(ProgramError):
    """Document after document fails alike: likely the fault is not theirs, so the run stops before all have failed."""

    exit_code = Exit.WORK_LEFT

    def __init__(self, error: DocprocError, count: int) -> None:
        super().__init__("run.alike", f"{count} documents in a row failed with {error.code}", why=str(error))


class StoppedError(ProgramError):
    """A signal asked for the end."""

    def __init__(self, signal: Signals) -> None:
        super().__init__("run.stopped", f"stopped by {signal.name}")
        self.exit_code = Exit(128 + signal)


class JobError(DocprocError):
    """Trouble of one document; becomes an outcome of its job, never of the program."""


class TransientError(JobError):
    """Likely to pass: the job is tried again with backoff until its attempts are used up."""


class UnsentError(TransientError):
    """The request never left: whatever it asks for was not done, and is not paid for."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a provider asked us to wait, in seconds; None when it did not say."""

    seconds: float | None = None


class ThrottledError(JobError):
    """The provider limits the rate; waiting costs the job no attempt."""

    def __init__(self, code: str, what: str, *, why: str = "", try_: str = "", pause: Pause | None = None) -> None:
        super().__init__(code, what, why=why, try_=try_)
        self.pause = pause or Pause()


class PermanentError(JobError):
    """Trying again with the same bytes and settings would end the same way."""


REMEDIES: dict[str, str] = {
    "ingest.missing": "check the path; quote globs that the shell should not expand",
    "ingest.empty": "the file has no bytes; export it again at its source",
    "ingest.unsupported": "convert it to PDF, DOCX, PPTX, XLSX, HTML, Markdown or text",
    "ingest.wrong_type": "rename the file so that its extension matches its content",
    "ingest.not_regular": "only regular files are read; copy the content into one",
    "ingest.unreadable": "check the file's permissions",
    "ingest.outside": "the link leads out of the folder; name its target itself",
    "ingest.too_large": "split the document, or raise [ingest] max_bytes",
    "ingest.withdraw_guard": "if these files are meant to be gone, allow as many with --max-withdraw",
    "ingest.incomplete_scan": "mend what could not be read, then sync again; nothing was withdrawn",
    "parse.rejected": "open the file in its own program, save it without password, and ingest it again",
    "parse.failed": "see whether the file opens at all; then docproc retry --resubmit, which pays again",
    "parse.timeout": "see the provider's status page; then docproc retry --resubmit --code parse.timeout",
    "parse.unreadable": "the file is damaged or not what its extension says; export it again",
    "parse.too_large": "split the document, or raise [parser] max_local_bytes where there is memory for it",
    "parse.gone": "the result expired at the service; docproc retry --resubmit",
    "parse.no_result": "the service answered without a result; docproc retry",
    "parse.unavailable": "the service is unreachable; it is tried again, then docproc retry",
    "parse.throttled": "nothing to do: the service's rate limit passes",
    "parse.submits_used_up": "see the provider's job list; then docproc retry --resubmit",
    "validate.empty": "see whether the file is blank; a scan may need a higher tier ([parser] tier)",
    "validate.pages_failed": "raise [validate] max_failed_pages, then docproc retry; status DOCUMENT shows the pages",
    "validate.pages_missing": "raise [validate] max_missing_pages, then docproc retry; status DOCUMENT shows the pages",
    "validate.pages_extra": 'set [validate] extra_pages = "warn", then docproc retry',
    "validate.little_text": "perhaps a scan; lower [validate] min_characters_per_page, then docproc retry",
    "chunk.none": "the text holds nothing to embed",
    "chunk.unknown_chunker": "use a version of docproc that knows it, or ingest the document again",
    "chunk.worker_died": "it is tried again; after too many times, see what the machine's memory is used for",
    "chunk.no_memory": "it is tried again; after too many times, give it more memory or runner.cpu_threads = 1",
    "chunk.lost_text": "a defect of the chunker: please report it with the document's type",
    "embed.rejected": "the provider refuses this text; see the message",
    "embed.bad_response": "the provider's answer was refused; docproc retry --code embed.bad_response",
    "embed.unavailable": "the service is unreachable; it is tried again, then docproc retry",
    "embed.throttled": "nothing to do: the provider's rate limit passes",
    "embed.incomplete": "docproc retry --code embed.incomplete",
    "storage.missing": "the stored object is gone; ingest the file again",
    "storage.corrupt": "the stored bytes are not the ones that were written; ingest the file again",
    "storage.unavailable": "the storage is unreachable; it is tried again, then docproc retry",
    "storage.rejected": "see the storage's answer; check the bucket's limits",
    "job.lease_expired": "its process died several times; look at the document's type and size, then docproc retry",
    "job.unexpected": "run again with -vv for the traceback; please report it",
    "run.stopped": "run it again: nothing is lost",
    "deploy.busy": "wait until it has ended",
    "deploy.checks": "docproc validate-deploy shows each with its remedy",
    "deploy.smoke": "docproc deploy --smoke-only --json shows every sample; compare it with the profile local",
    "deploy.indexes": "docproc migrate builds what is missing; see what holds the table",
    "deploy.way_back": "run it by hand",
    "deploy.stuck": "docproc migrate --verify names the differences; pg_restore brings back the --backup",
    "database.backup": "see the message; the server itself must be named in DATABASE_URL, not its pooler",
    "compare.too_dear": "name fewer documents, or allow it with --max-usd",
    "trial.leftovers": "docproc cleanup removes what killed trials have left, after an hour",
    "init.exists": "name another folder, or move the file; --force writes over it",
    "output.file": "see that there is room and the right to write there",
    "cleanup.in_flight": "wait until the run has ended, or stop it; then try again",
    "cleanup.leftovers": "run it again; what is left is named",
    "run.alike": "mend the cause, then: docproc retry; [runner] stop_after_alike = 0 never stops",
    "database.unreachable": "check DATABASE_URL and that the server answers: docproc validate-deploy",
    "database.full": "make room on the database server, then run again: nothing is lost",
    "database.not_set_up": "run: docproc migrate",
    "database.local_start": "see the log named above; DATABASE_URL=… uses a server of your own instead",
    "database.local_missing": "pip install 'docproc[local]', or set DATABASE_URL",
    "database.extension": "install pgvector on the server, then: docproc migrate",
    "schema.old": "run: docproc migrate",
    "schema.new": "install the docproc version that the database was migrated with",
    "schema.edited": "restore the migration file that was applied",
    "schema.failed": "see the message; nothing was changed",
    "schema.busy": "let the work that holds it end, then run docproc migrate again; --lock-timeout waits longer",
    "schema.check_failed": "mend what is named (docproc migrate --verify gives SQL where it can), then migrate again",
    "schema.would_lose_data": "make a backup, then: docproc migrate --to N --lose-data",
    "database.rights": "use a role with the rights that the message names",
    "credentials.parser": "set LLAMA_CLOUD_API_KEY to a key that the service accepts",
    "credentials.embedder": "set OPENAI_API_KEY to a key that the service accepts",
    "credentials.storage": "set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY of the same project",
    "quota.parser": "add credits at the provider, then run again: nothing is lost",
    "quota.embedder": "add credits at the provider, then run again: nothing is lost",
    "budget.day": "raise [budget] per_day, or run it again on another day (UTC)",
    "budget.month": "raise [budget] per_month, or run it again in another month (UTC)",
    "budget.run": "raise --budget or [budget] per_run, or run it again: a new run has a new budget",
    "budget.no_price": "write the price into [prices] of docproc.toml, or set no budget",
    "program.unexpected": "run docproc -vv … for the traceback; please report it",
    "quota.storage": "raise the storage's limits, then run again: nothing is lost",
    "config.unknown_key": "correct the key in docproc.toml",
    "config.invalid": "correct the value",
    "config.usage": "docproc --help names the commands, docproc COMMAND --help their options",
    "config.missing": "set the variable in the environment",
    "config.mixed_providers": "use one database for mock and another for real services (DATABASE_URL)",
    "engine.unreachable": "check the address, and that the cluster has workers; --on dask:// makes one on this machine",
    "engine.mismatch": "give every worker the same docproc, docproc.toml and environment as this process",
    "config.mocks_start": "see the log named above",
}
"""What to try, by code: the stable list of codes. A more exact remedy may be given where an error is raised."""
