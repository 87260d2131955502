#!/bin/sh
# Says in the journal, at a level that fits, why a unit of docproc failed and what to do; docproc-failed@.service runs it.
# <3> is an error, <5> a notice, as journald reads them.

set -u
code=${MONITOR_EXIT_STATUS:-unknown}

case $code in
3) level=5 todo="some documents failed, the others are done; see: docproc status --failed" ;;
1) level=3 todo="every document failed, or an unexpected error: look at it" ;;
2) level=3 todo="wrong usage or configuration, nothing was started: correct it" ;;
5) level=3 todo="stopped by money: decide whether to buy more; nothing is lost" ;;
6) level=3 todo="a check or an alert found something" ;;
10) level=3 todo="the database is away and did not come back within minutes: see the server" ;;
12) level=3 todo="credentials were refused: renew them" ;;
13) level=3 todo="the schema does not fit this version; run: docproc migrate" ;;
*) level=3 todo="it was killed, or could not be started" ;;
esac

message="$1 failed, exit $code: $todo (journalctl -u $1)"
echo "<$level>$message"
if [ -n "${ALERT_COMMAND:-}" ]; then
    # Split into words on purpose: it is a command with its options.
    echo "$message" | $ALERT_COMMAND
fi
