#!/bin/sh
# Readiness probe: the pod is ready when Redis answers, is not loading and, as a replica, is in sync with its master.
#
# The state of the whole cluster does not count: the Job that forms the cluster waits for ready pods, so none of them
# would ever become ready.
#
# When clients have taken nearly all connections, this probe makes room (room.sh). It has a way in when they have taken
# them all (way_in.sh), so such a pod is as ready as any.
#
# It also gives the room of a spare file away when the volume is full (spare.sh), before the next change of the cluster.
#
# This probe also fences a master that is cut off from the others (fence.sh): it is the one thing that looks at a node
# every second even when the network does not reach it. A fenced pod stays ready, because clients that reach it learn
# from it which nodes serve.
set -eu
: "${PORT:?}" "${NODE_TIMEOUT_MS:?}" "${FENCE_AFTER_MS:?}"
. "${0%/*}/lib.sh"
. "${0%/*}/fence.sh"
. "${0%/*}/room.sh"
. "${0%/*}/master_link.sh"
. "${0%/*}/spare.sh"

keep_spare || pod_log "a full volume will end this node at the next change of the cluster"

state=$(own_state) || {
  log "not ready: no answer from 127.0.0.1:$PORT within $ANSWER_SECONDS s"
  exit 1
}
make_room "$state" || pod_log "Redis gave no answer, or an unexpected one: idle connections may stay open or closed"
case $state in
*loading:1*)
  log "not ready: Redis loads its data set"
  exit 1
  ;;
*role:master*)
  fence "$state" || pod_log "Redis gave no answer, or an unexpected one: whether it must hold back writes is not known"
  ;;
*role:slave*master_link_status:up*)
  resume_writes || pod_log "Redis gave no answer, or an unexpected one: writes may stay held back for a moment"
  ;;
*role:slave*)
  try_master_links "$state" || pod_log "Redis gave no answer, or an unexpected one: another way into the master was not tried"
  log "not ready: this replica is not in sync with its master"
  exit 1
  ;;
*)
  # An error reply, such as BUSY: whoever asks gets it too.
  log "not ready: Redis answered: $state"
  exit 1
  ;;
esac
