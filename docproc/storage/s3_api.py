"""Speaks to an S3 store through obstore: the key, limits of time, and what an error truly says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from docproc.errors import ConfigError, CredentialsError, QuotaError, TransientError
from docproc.settings import Secret

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential, S3Store

TIMEOUT = timedelta(seconds=45)
"""For one request with its body. With a last try begun just before the same time is over, 98 s: less than a lease."""

RETRIES = 2
"""How often a request is sent again before the job's own backoff takes over."""

PAUSE = timedelta(seconds=1)
"""Before the second try; the pause doubles, with jitter."""

MAX_PAUSE = timedelta(seconds=8)
"""Between two tries at most: the job holds a lease meanwhile."""

PART = 5 << 20
"""Bytes of one request of an object that is sent or fetched in parts; S3 takes no smaller ones, and 10,000 at most."""

T = TypeVar("T")

_CREDENTIALS = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_QUOTA = {"QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "AccountProblem", "InsufficientStorage"}
_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
# NoSuchUpload: the answer that ended an upload in parts was lost, and so the question came twice.
_PASSING = {"RequestTimeout", "SlowDown", "OperationAborted", "InternalError", "NoSuchUpload"}
_NO_KEY = re.compile(r"169\.254\.169\.254|security-credentials|/latest/(?:api/token|meta-data)")


@dataclass(frozen=True, slots=True)
class Place:
    """The bucket, and the folder in it; ``endpoint`` is empty for AWS, ``region`` where the store has none."""

    bucket: str
    endpoint: str = ""
    region: str = ""
    prefix: str = ""

    @property
    def host(self) -> str:
        """Where the store is."""
        return urlsplit(self.endpoint).hostname or "AWS S3"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key as AWS gives it out; ``token`` belongs to one that expires."""

    access: Secret
    secret: Secret
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the store said instead. ``status`` is 0 when there was no answer, ``code`` what S3 calls the error."""

    status: int
    code: str

    @property
    def missing(self) -> bool:
        """Whether there is no such object, or nothing at all where we asked."""
        return self.status == 404

    @property
    def unclear(self) -> bool:
        """Whether it may be about the bucket or the key: the answer to a HEAD has no body, and so no code."""
        return not self.code

    @property
    def transient(self) -> bool:
        """Whether another try may end better."""
        return self.code in _PASSING or self.status in (0, 408, 409, 412, 425, 429) or self.status >= 500

    @property
    def why(self) -> str:
        """Status and code, for an error's text."""
        return f"HTTP {self.status} {self.code}".strip() if self.status else self.code or "no answer"


class S3Api:
    """The store at ``place``; without a ``key`` that of the machine's role is looked for, as AWS's own tools do."""

    def __init__(self, place: Place, key: Key | None, *, pause: timedelta = PAUSE) -> None:
        self.place = place
        self._key = key
        self._pause = pause

    def ask(self, call: Callable[[S3Store], T]) -> T | Refusal:
        """What ``call`` returns, or what the store said instead, which is the caller's to judge.

        Raises CredentialsError, QuotaError, ConfigError (bucket, region), TransientError ``storage.unavailable``.
        """
        from obstore.exceptions import BaseError

        try:
            return call(self._store)
        except (BaseError, OSError) as error:
            refusal, without_key = _refusal(str(error)), bool(_NO_KEY.search(str(error)))
        # Out here the error is no context of those that follow: its text quotes the answer, which may name a key.
        if without_key:
            why = "neither AWS_ACCESS_KEY_ID nor a role of this machine"
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give the machine a role"
            raise CredentialsError("credentials.storage", "there is no key for the storage", why=why, try_=remedy)
        self._judge(refusal)
        return refusal

    def _judge(self, refusal: Refusal) -> None:
        """Raises what is no single object's trouble."""
        why = refusal.why
        if refusal.code in _QUOTA or refusal.status == 402:
            remedy = "see the account's limits and bills, then run again: nothing is lost"
            raise QuotaError("quota.storage", "the storage's quota is used up", why=why, try_=remedy)
        if refusal.code == "RequestTimeTooSkewed":
            remedy = "set this machine's clock"
            raise CredentialsError("credentials.storage", "the storage refused the time", why=why, try_=remedy)
        if refusal.code == "NoSuchBucket":
            remedy = "create the bucket or name another in [storage] bucket"
            raise ConfigError("config.invalid", f"there is no bucket {self.place.bucket}", why=why, try_=remedy)
        if refusal.code in _REGION or 300 <= refusal.status < 400:
            what = f"the bucket {self.place.bucket} is not in the region {self.place.region or 'us-east-1'}"
            raise ConfigError("config.invalid", what, why=why, try_="set [storage] region, or endpoint")
        if refusal.status in (401, 403) or refusal.code in _CREDENTIALS:
            remedy = (
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a key with the rights that docs/storage.md names"
            )
            raise CredentialsError("credentials.storage", "the storage refused the key", why=why, try_=remedy)
        if refusal.transient:
            raise TransientError("storage.unavailable", "the storage does not answer", why=why)

    def readable_by_all(self, path: str) -> bool:
        """Whether somebody without a key may read the object under ``path``."""
        from obstore.exceptions import BaseError

        try:
            self._connected(skip_signature=True).head(path)
        except (BaseError, OSError):
            return False
        return True

    @cached_property
    def _store(self) -> S3Store:
        return self._connected(skip_signature=False)

    def _connected(self, *, skip_signature: bool) -> S3Store:
        from obstore.store import S3Store

        return S3Store(
            self.place.bucket,
            prefix=self.place.prefix or None,
            config=self._config(skip_signature=skip_signature),
            client_options={
                "allow_http": self.place.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=10),
                "timeout": TIMEOUT,
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": TIMEOUT,
                "backoff": {"init_backoff": self._pause, "max_backoff": MAX_PAUSE, "base": 2},
            },
            # As a provider, not as configuration: the environment's own token must not be mixed with another key.
            credential_provider=None if self._key is None or skip_signature else self._credential,
        )

    def _config(self, *, skip_signature: bool) -> S3Config:
        config: S3Config = {
            "region": self.place.region or "us-east-1",
            "skip_signature": skip_signature,
            # Not every store knows the request that deletes many.
            "disable_bulk_delete": True,
            # AWS wants the bucket in the host's name, where a dot would break the certificate; others want a path.
            "virtual_hosted_style_request": not self.place.endpoint and "." not in self.place.bucket,
        }
        if self.place.endpoint:
            config["endpoint"] = self.place.endpoint
        return config

    def _credential(self) -> S3Credential:
        assert self._key is not None
        token = None if self._key.token is None else str(self._key.token)
        return {
            "access_key_id": str(self._key.access),
            "secret_access_key": str(self._key.secret),
            "token": token,
            "expires_at": None,
        }


def _refusal(text: str) -> Refusal:
    """Reads obstore's error, which has no fields: status and code stand before what it repeats for debugging."""
    told = text.partition("Debug source:")[0]
    status = re.search(r"status code: (\d{3})", told)
    code = re.search(r"<Code>([A-Za-z]{1,60})</Code>", told)
    if code is not None:
        named = code[1]
    elif "redirect" in told:
        named = "PermanentRedirect"
    else:
        named = "" if status else _broken(told)
    return Refusal(int(status[1]) if status else 0, named)


def _broken(told: str) -> str:
    """Why there was no answer, in one word."""
    words = told.rpartition(" - ")[2].lower()  # before it stand the limits of time that were set
    return next((name for word, name in _BROKEN.items() if word in words), "")


_BROKEN = {
    "timeout": "timeout",
    "timed out": "timeout",
    "body error": "answer cut off",
    "content-range": "answer cut off",
    "etag header missing": "no S3 answer",
    "error sending request": "no connection",
}
