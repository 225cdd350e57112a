#!/bin/sh
# Readiness: this node answers, is not loading and, as a replica, is in sync with its master.
# The state of the cluster is no part of it: the Job that forms the cluster needs ready pods first.
set -eu
: "${PORT:?}"
. "${0%/*}/lib.sh"

# Shorter than the probe's own time limit, so that the reason is logged.
ANSWER_SECONDS=4

info=$(probe "$ANSWER_SECONDS" INFO persistence replication) || {
  log "not ready: no answer from 127.0.0.1:$PORT, $ANSWER_SECONDS s are allowed"
  exit 1
}
case $info in
*loading:1*)
  log "not ready: loading the data set"
  exit 1
  ;;
*role:master*) ;;
*role:slave*master_link_status:up*) ;;
*role:slave*)
  log "not ready: a replica that is not in sync with its master"
  exit 1
  ;;
*)
  log "not ready, Redis said: $info"
  exit 1
  ;;
esac
