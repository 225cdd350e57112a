#!/bin/sh
# Liveness: something answers at the socket. LOADING, BUSY and every other error reply are answers, since a
# restart would lose the data set to cure what passes by itself.
set -eu
: "${PORT:?}" "${ALIVE_TIMEOUT_SECONDS:?}"
. "${0%/*}/lib.sh"

reply=$(ask "$ALIVE_TIMEOUT_SECONDS" 127.0.0.1 PING) || {
  log "not alive: no answer from 127.0.0.1:$PORT within $ALIVE_TIMEOUT_SECONDS s"
  exit 1
}
[ -n "$reply" ]
