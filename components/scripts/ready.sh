#!/bin/sh
# Readiness: this node answers, is not loading and, as a replica, is in sync with its master.
# The state of the cluster is no part of it: the Job that forms the cluster needs ready pods first.
set -eu
: "${PORT:?}"
. "${0%/*}/lib.sh"

info=$(ask 4 127.0.0.1 INFO persistence replication)

case $info in
*role:*) ;;
*)
  log "not ready, Redis said: $info"
  exit 1
  ;;
esac
case $info in
*loading:1*)
  log "not ready: loading the data set"
  exit 1
  ;;
esac
case $info in
*role:slave*)
  case $info in
  *master_link_status:up*) ;;
  *)
    log "not ready: a replica that is not in sync with its master"
    exit 1
    ;;
  esac
  ;;
esac
