#!/bin/sh
# Liveness probe: the pod is alive when something answers on Redis's port.
#
# LOADING, BUSY and every other error reply count as answers. They end by themselves, and a restart would lose the data
# set to cure them.
#
# One state does not end by itself. A replica that still has old data, and whose link was cut for longer than the
# backlog lasts, must do a full resync. Redis then writes the snapshot to the volume before it loads it, because only an
# empty node loads a snapshot straight from the network. The volume is slower than the writes that the master has to
# buffer meanwhile, so under load such a resync never ends. After as many failures as Kubernetes allows this probe, the
# pod is restarted: its old data is gone, and the resync goes through memory.
set -eu
: "${PORT:?}" "${ALIVE_TIMEOUT_SECONDS:?}"
. "${0%/*}/lib.sh"

info=$(probe "$ALIVE_TIMEOUT_SECONDS" INFO persistence replication keyspace) || {
  log "not alive: no answer from 127.0.0.1:$PORT within $ALIVE_TIMEOUT_SECONDS s"
  exit 1
}
case $info in
*loading:1*) ;;
*master_sync_in_progress:1*db0:keys=*)
  log "not alive: a full resync through the volume, which never ends under load; begun anew, it goes through memory"
  exit 1
  ;;
esac
