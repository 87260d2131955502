"""A docproc process of its own for the tests: uses the cluster or the mocks and obeys lines on standard input.

``client.py HOME cluster|mocks:DELAY [subreaper]`` prints ``ready`` or ``error TEXT``; then every line is a command and
every answer is one line. At the end of the input it exits without closing what it uses.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from docproc.errors import DocprocError
from docproc.local import cluster, mocks

PR_SET_CHILD_SUBREAPER = 36


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words).replace("\n", " ") + "\n")
    sys.stdout.flush()


def query(handle: cluster.ClusterHandle, sql: str) -> object:
    import psycopg

    with psycopg.connect(handle.dsn) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone() if cursor.description else "done"


def fork() -> int:
    """The pid of a child that waits for its end; it is past its first steps."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"running")
        signal.pause()
    os.read(read, 10)
    return child


def obey(handle: cluster.ClusterHandle | mocks.MockHandle, line: str) -> object:
    command, _, rest = line.strip().partition(" ")
    if command == "ensure":
        handle.ensure()
    elif command == "close":
        handle.close()
    elif command == "fork":
        return fork()
    elif command == "dsn" and isinstance(handle, cluster.ClusterHandle):
        return handle.dsn
    elif command == "address" and isinstance(handle, mocks.MockHandle):
        return handle.address, handle.options_differ
    elif isinstance(handle, cluster.ClusterHandle):
        return query(handle, rest)
    return "done"


def start(home: Path, service: str) -> cluster.ClusterHandle | mocks.MockHandle:
    if service == "cluster":
        return cluster.start(home, fsync=False)
    if "STAND_IN" in os.environ:
        mocks._module = lambda: ("stand_in", Path(__file__).parent)
    return mocks.start(home, options=mocks.MockOptions(processing_delay=float(service.partition(":")[2])))


def main() -> None:
    if "subreaper" in sys.argv:
        # Orphans come to this process, which never waits for them: a killed server stays a zombie.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        handle = start(Path(sys.argv[1]), sys.argv[2])
    except DocprocError as error:
        say("error", error.code, error, error.remedy)
        sys.exit(1)
    say("ready")
    for line in sys.stdin:
        try:
            say(obey(handle, line))
        except Exception as error:
            say("error", type(error).__name__, error)


if __name__ == "__main__":
    main()
