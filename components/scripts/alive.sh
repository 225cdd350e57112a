#!/bin/sh
# Liveness probe: the pod is alive when something answers on Redis's port.
#
# LOADING, "max number of clients reached" and every other error reply count as answers. They end by themselves, or when
# clients behave, and a restart would lose the data set to cure them.
#
# Two states do not end by themselves.
#
# - A script that does not end: see long_script.sh. This probe ends it, because it runs on the node itself.
# - A replica that still has old data, and whose link was cut for longer than the backlog lasts, must do a full resync.
#   Redis then writes the snapshot to the volume before it loads it, because only an empty node loads a snapshot
#   straight from the network. The volume is slower than the writes that the master has to buffer meanwhile, so under
#   load such a resync never ends. After as many failures as Kubernetes allows this probe, the pod is restarted: its old
#   data is gone, and the resync goes through memory.
set -eu
: "${PORT:?}" "${ALIVE_TIMEOUT_SECONDS:?}" "${LONGEST_SCRIPT_SECONDS:?}"
. "${0%/*}/lib.sh"
. "${0%/*}/long_script.sh"

info=$(own "$ALIVE_TIMEOUT_SECONDS" 'INFO persistence replication keyspace') || {
  log "not alive: no answer from 127.0.0.1:$PORT within $ALIVE_TIMEOUT_SECONDS s"
  exit 1
}
case $info in
BUSY*)
  note_busy
  if [ "$busy_seconds" -ge "$LONGEST_SCRIPT_SECONDS" ]; then
    end_long_script || log "a script that has written does not end, and no replica can take over"
  fi
  exit 0
  ;;
esac
forget_busy
case $info in
*loading:1*) ;;
*master_sync_in_progress:1*db0:keys=*)
  log "not alive: a full resync through the volume, which never ends under load; begun anew, it goes through memory"
  exit 1
  ;;
esac
