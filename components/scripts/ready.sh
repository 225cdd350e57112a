#!/bin/sh
# Readiness: this node answers, is not loading and, as a replica, is in sync with its master.
# The state of the cluster is no part of it: the Job that forms the cluster needs ready pods first.
#
# It is also the one thing that looks at a node every second wherever the network ends, so it fences a master that is
# cut off from the others (fence.sh). That does not make the pod unready: clients that reach it learn from it who serves.
set -eu
: "${PORT:?}" "${NODE_TIMEOUT_MS:?}" "${FENCE_AFTER_MS:?}"
. "${0%/*}/lib.sh"
. "${0%/*}/fence.sh"

state=$(own_state) || {
  log "not ready: no answer from 127.0.0.1:$PORT, $ANSWER_SECONDS s are allowed"
  exit 1
}
case $state in
*loading:1*)
  log "not ready: loading the data set"
  exit 1
  ;;
*role:master*)
  fence "$state" || pod_log "Redis did not answer in time, or not as expected: not known whether this node is alone"
  ;;
*role:slave*master_link_status:up*)
  let_write || pod_log "Redis did not answer in time, or not as expected: writes may be held back for a moment longer"
  ;;
*role:slave*)
  log "not ready: a replica that is not in sync with its master"
  exit 1
  ;;
*)
  log "not ready, Redis said: $state"
  exit 1
  ;;
esac
