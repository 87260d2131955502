"""Checks of the place for bytes: named, open to our key, there, private."""

from __future__ import annotations

from docproc.app import missing
from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.errors import ConfigError, CredentialsError, TransientError
from docproc.local.mocks import serve_storage


def configured(it: Deployment) -> Finding:
    """Do the settings name all that the storage needs?"""
    settings = it.app.settings
    if settings.storage.backend == "local":
        return ok("a local folder")
    if serve_storage(settings):
        return ok(f"bucket {settings.storage.bucket} at the mocks")
    if settings.storage.backend == "s3":
        _ = it.app.storage  # refuses half a key, and asks nobody
        key = "its own key" if settings.secrets.aws_access_key_id else "the machine's role"
        return ok(f"bucket {settings.storage.bucket} at {settings.storage.endpoint or 'AWS S3'}, with {key}")
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"):
        if getattr(settings.secrets, name.lower()) is None:
            raise missing(name, settings)
    _ = it.app.storage  # refuses a malformed address or key, and asks nobody
    return ok(f"bucket {settings.storage.bucket} at Supabase")


def key(it: Deployment) -> Finding:
    """Does the storage answer, and accept the key?"""
    if it.app.settings.storage.backend == "local":
        return ok("needs none")
    try:
        it.app.storage.check()
    except (CredentialsError, TransientError) as error:
        return problem(str(error), error.remedy)
    except ConfigError:
        return ok("accepted, though not the bucket")  # the next check's to tell
    return ok("accepted")


def bucket(it: Deployment) -> Finding:
    """Does the bucket exist, or the folder, and let us in?"""
    return ok(it.app.storage.check())


def private(it: Deployment) -> Finding:
    """Is it closed to everybody else?"""
    if it.app.settings.storage.backend == "local":
        return ok("a local folder, which environment.private looks at")
    if it.app.settings.storage.backend == "s3":
        return _private_at_s3(it)
    seen = it.app.storage.check()
    return problem(seen) if "PUBLIC" in seen else ok("private")


def _private_at_s3(it: Deployment) -> Finding:
    """S3 has many ways to open a bucket, so one of its objects is asked for without a key."""
    from docproc.storage.s3 import S3Storage

    assert isinstance(it.app.storage, S3Storage)
    match it.app.storage.readable_by_all():
        case None:
            return ok("no object to try it with")
        case True:
            return problem("PUBLIC: an object can be read without a key", "block public access to the bucket")
        case _:
            return ok("private")


CHECKS = (
    Check(
        "storage.configured",
        "storage",
        "error",
        "an address, a key and a bucket",
        "set [storage] bucket, and the variables of its backend: docs/storage.md names them",
        configured,
        ("environment.home",),
    ),
    Check(
        "storage.key",
        "storage",
        "error",
        "an answer to the key",
        "set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY of the same project, or both halves of an AWS key",
        key,
        ("storage.configured",),
        network=True,
    ),
    Check(
        "storage.bucket",
        "storage",
        "error",
        "a bucket, or a folder that can be written to",
        "create the bucket or name another in [storage] bucket",
        bucket,
        ("storage.key",),
        network=True,
    ),
    Check(
        "storage.private",
        "storage",
        "warn",
        "closed to everybody else",
        "make the bucket private in Supabase's dashboard, or block public access to it at S3",
        private,
        ("storage.bucket",),
        network=True,
    ),
)
