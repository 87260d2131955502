"""The least server with the manners of the mocks; its faults: ``die`` at once, ``stranger`` answers as another one."""

import argparse
import http.server
import json
import signal
import sys
from pathlib import Path


class Health(http.server.BaseHTTPRequestHandler):
    service = "docproc-mocks"

    def do_GET(self) -> None:
        body = json.dumps({"service": self.service, "arguments": sys.argv[1:]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(
        self,
        format: str,  # noqa: A002 - the name in http.server
        *args: object,
    ) -> None:
        """Says nothing."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--state")
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--processing-delay", type=float)
    parser.add_argument("--size-variation", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fault", action="append", default=[])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if "die" in options.fault:
        sys.exit("no such luck")
    if "stranger" in options.fault:
        Health.service = "somebody else"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Health)
    draft = options.ready_file.with_suffix(".new")
    draft.write_text(f"{server.server_address[1]}\n")
    draft.rename(options.ready_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
