#!/bin/sh
# Before the pod stops: a master with slots hands them to a replica that is in sync, so that no client waits for an
# election and no key is lost. A replica, or a master without slots, just leaves.
set -eu
: "${PORT:?}" "${STOP_DEADLINE_SECONDS:?}"
. "${0%/*}/lib.sh"

# A hook's own output is thrown away; what process 1 writes is the pod's log.
if [ -w /proc/1/fd/1 ]; then
  exec 2>>/proc/1/fd/1
fi

ANSWER_SECONDS=2
# Redis gives up a hand-over after 5 s; by then the replica says what it is.
HANDOVER_CENTISECONDS=550
# The votes come within two round trips and two ticks of 100 ms, once the replica has every write.
VOTES_CENTISECONDS=25
# Twice the time between two confirmations of a replica.
STREAM_CENTISECONDS=200
# A pod that restarts is back and syncing in half a minute; until then this node serves on.
RETURN_CENTISECONDS=3000
# Clients that were told of the new master in the meantime need not find out by a broken connection.
SETTLE_SECONDS=0.5

# Sets role and has_slots of this node, `replicas` (addresses of those in sync, the most advanced first) and `expected`
# (how many replicas of this node live). Fails when Redis does not answer.
look() {
  info=$(ask "$ANSWER_SECONDS" 127.0.0.1 INFO replication) || return 1
  nodes=$(ask "$ANSWER_SECONDS" 127.0.0.1 CLUSTER NODES) || return 1
  role=$(printf '%s\n' "$info" | awk -F: '{ sub(/\r$/, "") } $1 == "role" { print $2 }')
  has_slots=$(printf '%s\n' "$nodes" | awk '$3 ~ /myself/ { print((NF > 8 && $9 !~ /^\[/) ? "yes" : "no") }')
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

# The replication offset of the node at IP: of what it sent as a master, or of what it has as a replica.
offset_of() {
  ask "$ANSWER_SECONDS" "$1" INFO replication |
    awk -F: '{ sub(/\r$/, "") } $1 == "slave_repl_offset" { own = $2 } $1 == "master_repl_offset" { sent = $2 }
      END { print own == "" ? sent : own }'
}

# told IP WORD…: sends CLUSTER FAILOVER WORD… to the replica at IP; true when it accepts.
told() {
  told_ip=$1
  shift
  reply=$(ask "$ANSWER_SECONDS" "$told_ip" CLUSTER FAILOVER "$@" 2>&1) || reply=${reply:-no answer}
  if [ "$reply" != OK ]; then
    log "the replica at $told_ip said: $reply"
    return 1
  fi
}

# streams_to IP: true once the replica at IP has what was written by now. After a diskless sync it is sent nothing before
# its next confirmation, which comes once a second, though it is called online; writes would be held back so long.
streams_to() {
  written=$(offset_of 127.0.0.1)
  clock
  stream_end=$((now + STREAM_CENTISECONDS))
  while
    has=$(offset_of "$1")
    [ "${has:-0}" -lt "${written:-0}" ]
  do
    clock
    if [ "$now" -ge "$stream_end" ]; then
      log "the replica at $1 lags: it has not got what was written 2 s ago"
      return 1
    fi
    sleep 0.05
  done
}

# hand_over IP: true when the replica at IP is master and this node is none any more.
#
# This node holds back writes until the replica has them all and asks the masters for their votes. They refuse one
# more vote about the same master within two node timeouts. Then TAKEOVER does it: this node is alive,
# so no other replica can be elected, and while it holds back writes equal offsets mean that nothing is lost.
hand_over() {
  streams_to "$1" || return 1
  log "handing the slots to the replica at $1"
  clock
  votes_due=$((now + VOTES_CENTISECONDS))
  end=$((now + HANDOVER_CENTISECONDS))
  taken=
  told "$1" || return 1
  while [ "$now" -lt "$end" ]; do
    if [ "$(role_of "$1")" = master ] && [ "$(role_of 127.0.0.1)" = slave ]; then
      return 0
    fi
    if [ -z "$taken" ] && [ "$now" -ge "$votes_due" ] && [ "$(offset_of "$1")" = "$(offset_of 127.0.0.1)" ]; then
      log "the masters gave no votes: CLUSTER FAILOVER TAKEOVER"
      # Refused when the votes came at this very moment: then it is master already.
      told "$1" TAKEOVER && taken=yes
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
lonely=
while :; do
  if ! look; then
    log "Redis does not answer: leaving"
    exit 1
  fi
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
  if [ "$expected" -gt 0 ]; then
    lonely=
  elif [ -z "$lonely" ]; then
    log "no replica lives: waiting for its pod to come back"
    lonely=$now
  elif [ $((now - lonely)) -ge "$RETURN_CENTISECONDS" ]; then
    log "a master without a living replica: leaving, its keys are lost"
    exit 0
  fi
  if [ -z "$replicas" ] && [ -z "$waiting" ]; then
    waiting=yes
    log "waiting for a replica to get in sync"
  fi
  sleep 0.2
done
