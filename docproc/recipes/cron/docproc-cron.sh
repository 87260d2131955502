#!/bin/sh
# Runs docproc with the words given, and prints, for cron to mail, only what somebody should read.
# Install:  install -m 0755 docproc-cron.sh /etc/docproc/
#           install -m 0600 -o docproc docproc.env /etc/docproc/

set -u
umask 077

# The secrets, and where docproc keeps its things.
set -a
. "${DOCPROC_ENV_FILE:-/etc/docproc/docproc.env}"
DOCPROC_CONFIG=${DOCPROC_CONFIG:-/etc/docproc/docproc.toml}
DOCPROC_HOME=${DOCPROC_HOME:-/var/lib/docproc}
set +a

said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT

# 10: the database is away. Often that is a restart, so it is tried for five minutes before anybody is told.
tries=5
while :; do
    docproc "$@" >"$said" 2>&1
    code=$?
    tries=$((tries - 1))
    if [ "$code" -ne 10 ] || [ "$tries" -eq 0 ]; then
        break
    fi
    sleep 60
done

case $code in
0) todo= ;;                   # done, or nothing to do
4) todo= ;;                   # stopped in good order with work left: the next run goes on
130 | 143) todo= ;;           # stopped by a signal, leases handed back: the next run goes on
3) todo="some documents failed, the others are done; see: docproc status --failed" ;;
1) todo="every document failed, or an unexpected error: look at it" ;;
2) todo="wrong usage or configuration, nothing was started: correct it" ;;
5) todo="stopped by money: decide whether to buy more; nothing is lost" ;;
6) todo="a check or an alert found something" ;;
10) todo="the database has been away for five minutes: see the server" ;;
12) todo="credentials were refused: renew them" ;;
13) todo="the schema does not fit this version; run: docproc migrate" ;;
*) todo="an exit code that docproc does not have: was it killed?" ;;
esac

if [ -n "$todo" ]; then
    echo "docproc on $(hostname), exit $code: $todo"
    echo
    cat "$said"
fi
exit "$code"
