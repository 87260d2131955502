"""Holds the S3 backend to its settings: whose key, which address, what is refused before anything is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import docproc
from docproc.config import load
from docproc.errors import ConfigError
from docproc.redaction import Redactor
from docproc.settings import Settings
from docproc.storage import open_storage
from docproc.storage.s3 import S3Storage

ROOT = Path(docproc.__file__).parent.parent

COMPLETE = {
    "DOCPROC_STORAGE_BACKEND": "s3",
    "DOCPROC_STORAGE_BUCKET": "papers",
    "AWS_ACCESS_KEY_ID": "AKIA-PLAIN",
    "AWS_SECRET_ACCESS_KEY": "plain-secret",
}
STAGING = {
    "DOCPROC_PROFILE": "staging",
    "STAGING_AWS_ACCESS_KEY_ID": "AKIA-STAGING",
    "STAGING_AWS_SECRET_ACCESS_KEY": "staging-secret",
}


def opened(**more: str) -> S3Storage:
    storage = open_storage(load(environ=COMPLETE | more))
    assert isinstance(storage, S3Storage)
    return storage


def test_the_settings_choose_the_backend() -> None:
    place = opened(DOCPROC_STORAGE_PREFIX="/team/docproc/", DOCPROC_STORAGE_REGION="eu-west-1")._api.place
    assert (place.bucket, place.prefix, place.region, place.host) == ("papers", "team/docproc", "eu-west-1", "AWS S3")


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    program = (
        "import sys; from docproc.config import load; from docproc.storage import open_storage;"
        f"open_storage(load(environ={COMPLETE!r}));"
        "print({'obstore', 'requests', 'urllib3', 'tenacity'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "set()\n"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docproc.storage.s3.find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        opened()
    assert caught.value.code == "config.missing"
    assert "docproc[s3]" in caught.value.remedy


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_is_named(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(**{name: ""})
    assert caught.value.code == "config.missing"
    assert name in caught.value.what


def test_without_a_key_the_machines_role_is_used() -> None:
    assert opened(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")._api._key is None


def test_a_profiles_own_key_goes_before_the_plain_one_and_takes_no_token_of_it() -> None:
    settings = _staging(AWS_SESSION_TOKEN="plain-token")
    key = S3Storage.from_settings(settings)._api._key
    assert key is not None
    assert (str(key.access), str(key.secret), key.token) == ("AKIA-STAGING", "staging-secret", None)


def test_a_token_belongs_to_the_key_beside_it() -> None:
    own = S3Storage.from_settings(_staging(STAGING_AWS_SESSION_TOKEN="own"))._api._key
    plain = opened(AWS_SESSION_TOKEN="plain")._api._key
    assert own is not None
    assert plain is not None
    assert (own.token, plain.token) == ("own", "plain")


def test_both_halves_of_the_key_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    from docproc import redaction

    redact = Redactor()
    monkeypatch.setattr(redaction, "redact", redact)
    redaction.learn_secrets(load(environ=COMPLETE | {"AWS_SESSION_TOKEN": "a-token"}).secrets)
    told = redact("AKIA-PLAIN signed with plain-secret and a-token")
    assert not [secret for secret in ("AKIA-PLAIN", "plain-secret", "a-token") if secret in told]


@pytest.mark.parametrize(
    ("environ", "region", "endpoint"),
    [
        ({}, "", ""),
        (
            {"AWS_REGION": "r1", "AWS_DEFAULT_REGION": "r2", "AWS_ENDPOINT_URL": "https://a.test"},
            "r1",
            "https://a.test",
        ),
        ({"AWS_DEFAULT_REGION": "r2", "AWS_ENDPOINT_URL_S3": "https://b.test"}, "r2", "https://b.test"),
        ({"AWS_REGION": "r1", "DOCPROC_STORAGE_REGION": "r3"}, "r3", ""),
    ],
)
def test_the_variables_of_awss_own_tools_count_where_nothing_else_is_told(
    environ: dict[str, str], region: str, endpoint: str
) -> None:
    told = load(environ=COMPLETE | environ)
    assert (told.storage.region, told.storage.endpoint) == (region, endpoint)


def test_the_file_goes_before_the_variables_of_awss_own_tools(tmp_path: Path) -> None:
    file = tmp_path / "docproc.toml"
    file.write_text('[storage]\nbackend = "s3"\nregion = "eu-west-1"\n')
    told = load(config=file, environ={"AWS_REGION": "us-east-2", "AWS_ENDPOINT_URL": "https://a.test"})
    assert (told.storage.region, told.storage.endpoint) == ("eu-west-1", "https://a.test")
    assert told.origins["storage.endpoint"] == "AWS_ENDPOINT_URL"


def test_without_s3_they_mean_nothing() -> None:
    assert load(environ={"AWS_REGION": "us-east-2", "AWS_ENDPOINT_URL": "https://a.test"}).storage.region == ""


@pytest.mark.parametrize(
    "endpoint",
    ["s3.test", "ftp://s3.test", "https://", "https://[", "https://x:y", "https://u:p@s3.test", "https://s3.test/?a=1"],
)
def test_an_address_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(DOCPROC_STORAGE_ENDPOINT=endpoint)
    assert caught.value.code == "config.invalid"


@pytest.mark.parametrize("bucket", ["a", "with/slash", "../up", "-", "a b", "https://papers"])
def test_a_bucket_that_can_be_none_is_refused(bucket: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(DOCPROC_STORAGE_BUCKET=bucket)
    assert caught.value.code == "config.invalid"


@pytest.mark.parametrize("prefix", ["../up", "a//b", ".hidden", "a b"])
def test_a_folder_that_can_be_none_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(DOCPROC_STORAGE_PREFIX=prefix)
    assert caught.value.code == "config.invalid"


@pytest.mark.parametrize(
    ("endpoint", "bucket", "in_the_host", "http"),
    [
        ("", "papers", True, False),
        ("", "papers.example.com", False, False),
        ("https://s3.test", "papers", False, False),
        ("http://127.0.0.1:9000/", "papers", False, True),
    ],
)
def test_the_bucket_stands_in_the_hosts_name_at_aws_alone_and_http_is_used_only_when_told(
    endpoint: str, bucket: str, in_the_host: bool, http: bool
) -> None:
    store = opened(DOCPROC_STORAGE_ENDPOINT=endpoint, DOCPROC_STORAGE_BUCKET=bucket)._api._store
    config, options = store.config, store.client_options
    assert options is not None
    assert str(config["virtual_hosted_style_request"]).lower() == str(in_the_host).lower()
    assert str(options["allow_http"]).lower() == str(http).lower()


def _staging(**more: str) -> Settings:
    folder = Path("docproc.toml")
    folder.write_text("[profile.staging]\n")
    return load(environ=COMPLETE | STAGING | more)
