#!/bin/sh
# Liveness: something answers at the socket. LOADING, BUSY and every other error reply are answers, since a
# restart would lose the data set to cure what passes by itself.
#
# One state does not pass: a replica with old data that must sync anew (its link was cut for longer than the backlog
# lasts) takes the snapshot through its volume, since only an empty node loads straight from the wire. That is
# slower than the writes the master must hold back meanwhile, so under load it never ends. When it lasts
# as long as Kubernetes allows a probe to fail, the restart drops the old data and the sync is done from memory.
set -eu
: "${PORT:?}" "${ALIVE_TIMEOUT_SECONDS:?}"
. "${0%/*}/lib.sh"

info=$(probe "$ALIVE_TIMEOUT_SECONDS" INFO persistence replication keyspace) || {
  log "not alive: no answer from 127.0.0.1:$PORT, $ALIVE_TIMEOUT_SECONDS s are allowed"
  exit 1
}
case $info in
*loading:1*) ;;
*master_sync_in_progress:1*db0:keys=*)
  log "a sync through the volume: better begun anew without the old data"
  exit 1
  ;;
esac
