"""An S3 server on loopback for tests: started, given buckets, and told to docproc through the environment."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ACCESS_KEY = "AKIATESTS0000000000"
SECRET_KEY = "tests/only/0f5a1c7be94d27"
REGION = "eu-central-1"

# The server asks for some signature, and looks only at the region that it names.
_SIGNED = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server of the S3 protocol at ``address``; it accepts every key."""

    address: str

    def make_bucket(self, name: str) -> str:
        """Makes an empty bucket; its name."""
        body = (
            f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        self.ask("PUT", f"/{name}", body.encode())
        return name

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the server's answer. Raises HTTPError when it is none of success."""
        request = urllib.request.Request(self.address + path, data=body, method=method)
        request.add_header("Authorization", _SIGNED)
        request.add_header("Content-Type", "application/xml")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def environ(self, bucket: str) -> dict[str, str]:
        """What makes docproc keep its objects in ``bucket``."""
        return {
            "DOCPROC_STORAGE_BACKEND": "s3",
            "DOCPROC_STORAGE_BUCKET": bucket,
            "DOCPROC_STORAGE_ENDPOINT": self.address,
            "DOCPROC_STORAGE_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running S3 server without buckets, in a thread of this process; it forgets everything at the end."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()
