#!/bin/sh
# Before the pod stops: a master with slots hands them to a replica that is in sync, so that no client waits for an
# election and no key is lost. A replica, or a master without slots, just leaves.
set -eu
: "${PORT:?}" "${STOP_DEADLINE_SECONDS:?}"
. "${0%/*}/lib.sh"

# A hook's own output is thrown away; process 1 writes the pod's log.
exec 2>>"${STOP_LOG:-/proc/1/fd/1}"

ANSWER_SECONDS=2
# Redis gives up a hand-over after 5 s; by then the replica says what it is.
HANDOVER_CENTISECONDS=550
# Clients that were told of the new master in the meantime need not find out by a broken connection.
SETTLE_SECONDS=0.5

# Sets role, id and has_slots of this node, and `replicas`: addresses of those in sync, the most advanced first.
look() {
  info=$(ask "$ANSWER_SECONDS" 127.0.0.1 INFO replication)
  nodes=$(ask "$ANSWER_SECONDS" 127.0.0.1 CLUSTER NODES)
  role=$(printf '%s\n' "$info" | awk -F: '{ sub(/\r$/, "") } $1 == "role" { print $2 }')
  has_slots=$(printf '%s\n' "$nodes" | awk '$3 ~ /myself/ { print NF > 8 && $9 !~ /^\[/ ? "yes" : "no" }')
  replicas=$(printf '%s\n' "$info" | awk '
    { sub(/\r$/, "") }
    /^slave[0-9]+:/ && /state=online/ {
      sub(/^slave[0-9]+:/, "")
      n = split($0, pair, ",")
      for (i = 1; i <= n; i++) { split(pair[i], kv, "="); v[kv[1]] = kv[2] }
      print v["ip"], v["offset"]
    }' | sort -k2,2nr | cut -d' ' -f1)
  expected=$(printf '%s\n' "$nodes" | awk '
    $3 ~ /myself/ { me = $1 }
    { master[NR] = $4; flags[NR] = $3 }
    END { for (i = 1; i <= NR; i++) if (master[i] == me && flags[i] !~ /fail(,|$)|noaddr/) n++; print n + 0 }')
}

role_of() {
  ask "$ANSWER_SECONDS" "$1" ROLE | head -n 1
}

# hand_over IP: true when the replica at IP is master and this node is none any more.
hand_over() {
  log "handing the slots to the replica at $1"
  clock
  until_cs=$((now + HANDOVER_CENTISECONDS))
  reply=$(ask "$ANSWER_SECONDS" "$1" CLUSTER FAILOVER 2>&1) || reply=${reply:-no answer}
  if [ "$reply" != OK ]; then
    log "the replica at $1 said: $reply"
    return 1
  fi
  while [ "$now" -lt "$until_cs" ]; do
    if [ "$(role_of "$1")" = master ] && [ "$(role_of 127.0.0.1)" = slave ]; then
      return 0
    fi
    sleep 0.05
    clock
  done
  log "the replica at $1 was not promoted"
  return 1
}

clock
deadline=$((now + STOP_DEADLINE_SECONDS * 100))
waiting=
while :; do
  look
  if [ "$role" != master ]; then
    log "a replica: nothing to hand over"
    exit 0
  fi
  if [ "$has_slots" != yes ]; then
    log "a master without slots: nothing to hand over"
    exit 0
  fi
  for replica in $replicas; do
    if hand_over "$replica"; then
      log "handed over: $replica serves the slots now"
      sleep "$SETTLE_SECONDS"
      exit 0
    fi
  done
  clock
  if [ "$now" -ge "$deadline" ]; then
    log "no replica took the slots within $STOP_DEADLINE_SECONDS s: leaving, the others will elect one if they can"
    exit 1
  fi
  if [ "$expected" -eq 0 ]; then
    log "a master without a living replica: leaving, its keys are lost"
    exit 0
  fi
  if [ -z "$replicas" ] && [ -z "$waiting" ]; then
    waiting=yes
    log "waiting for a replica to get in sync"
  fi
  sleep 0.2
done
