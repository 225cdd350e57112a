#!/bin/sh
# Runs before the pod stops. A master with slots hands them over to a replica that is in sync. Without that, clients
# would wait for an election, and the writes that the replica does not have yet would be lost. A replica, or a master
# without slots, just leaves.
#
# A Redis that answers with an error (a script runs, the password was changed by hand) cannot say what it is. Then its
# table of nodes does, and the replicas are asked: a hand-over needs nothing but the replica and the cluster bus.
set -eu
: "${PORT:?}" "${STOP_DEADLINE_SECONDS:?}" "${LONGEST_SCRIPT_SECONDS:?}"
. "${0%/*}/lib.sh"
. "${0%/*}/long_script.sh"

# Kubernetes throws a hook's output away. What process 1 writes is the pod's log.
if [ -w /proc/1/fd/1 ]; then
  exec 2>>/proc/1/fd/1
fi

ANSWER_SECONDS=2
# Hundredths of a second. Redis gives up a hand-over after 5 s; then the replica's role is known.
HANDOVER_CENTISECONDS=550
# Hundredths of a second. Once the replica has every write, the votes come within two round trips and two of Redis's
# ticks of 100 ms.
VOTES_CENTISECONDS=25
# Hundredths of a second. A replica confirms what it has once a second; this is twice that.
CATCH_UP_CENTISECONDS=200
# Hundredths of a second. A pod that restarts is back and syncing within half a minute. Until then this node serves on.
RETURN_CENTISECONDS=3000
# After a hand-over this node still answers for so long. It redirects clients to the new master, which they would
# otherwise learn of by a broken connection.
SETTLE_SECONDS=0.5

# Sets `role` and `has_slots` of this node, `replicas` (addresses of the replicas in sync, the one with the most data
# first) and `living_replicas` (how many replicas are not known to be dead). Sets `role` to `error` when Redis answers
# with an error, which is in `info`. Fails when Redis does not answer.
look() {
  info=$(own "$ANSWER_SECONDS" 'INFO replication') || return 1
  nodes=$(own "$ANSWER_SECONDS" 'CLUSTER NODES') || return 1
  role=$(printf '%s\n' "$info" | awk -F: '{ sub(/\r$/, "") } $1 == "role" { print $2 }')
  has_slots=$(printf '%s\n' "$nodes" | awk '$3 ~ /myself/ { print((NF > 8 && $9 !~ /^\[/) ? "yes" : "no") }')
  if [ -z "$role" ] || { [ "$role" = master ] && [ -z "$has_slots" ]; }; then
    role=error
    [ "${info#\# }" = "$info" ] || info=$nodes
  fi
  replicas=$(printf '%s\n' "$info" | awk '
    { sub(/\r$/, "") }
    /^slave[0-9]+:/ && /state=online/ {
      sub(/^slave[0-9]+:/, "")
      n = split($0, pair, ",")
      for (i = 1; i <= n; i++) { split(pair[i], kv, "="); v[kv[1]] = kv[2] }
      print v["ip"], v["offset"]
    }' | sort -k2,2nr | cut -d' ' -f1)
  living_replicas=$(printf '%s\n' "$nodes" | awk '
    $3 ~ /myself/ { me = $1 }
    { master[NR] = $4; flags[NR] = $3 }
    END { for (i = 1; i <= NR; i++) if (master[i] == me && flags[i] !~ /fail(,|$)|noaddr/) n++; print n + 0 }')
}

# one_of IP COMMAND: sends a command to the node at IP, which may be this one.
one_of() {
  if [ "$1" = 127.0.0.1 ]; then
    own "$ANSWER_SECONDS" "$2"
  else
    echo "$2" | ask "$ANSWER_SECONDS" "$1"
  fi
}

role_of() {
  one_of "$1" ROLE | head -n 1
}

# offset_of IP: prints the node's replication offset. A master's is that of what it sent, a replica's of what it has.
offset_of() {
  one_of "$1" 'INFO replication' |
    awk -F: '{ sub(/\r$/, "") } $1 == "slave_repl_offset" { own = $2 } $1 == "master_repl_offset" { sent = $2 }
      END { print own == "" ? sent : own }'
}

# start_failover IP WORD…: sends CLUSTER FAILOVER WORD… to the replica at IP. True when it accepts.
start_failover() {
  failover_ip=$1
  shift
  reply=$(ask "$ANSWER_SECONDS" "$failover_ip" CLUSTER FAILOVER "$@" 2>&1) || reply=${reply:-no answer}
  if [ "$reply" != OK ]; then
    log "the replica at $failover_ip answered: $reply"
    return 1
  fi
}

# catches_up IP: true once the replica at IP has all that was written before this call.
#
# After a diskless resync a master calls its replica online, but sends it nothing before the replica's next
# confirmation, which comes once a second. A hand-over that began before that would hold back writes for so long.
catches_up() {
  written=$(offset_of 127.0.0.1)
  clock
  catch_up_end=$((now + CATCH_UP_CENTISECONDS))
  while
    received=$(offset_of "$1")
    [ "${received:-0}" -lt "${written:-0}" ]
  do
    clock
    if [ "$now" -ge "$catch_up_end" ]; then
      log "the replica at $1 is behind: it does not have what was written 2 s ago"
      return 1
    fi
    sleep 0.05
  done
}

# hand_over IP: true when the replica at IP is master and this node is not master any more.
#
# On CLUSTER FAILOVER this node holds back writes until the replica has them all. The replica then asks the masters for
# their votes. A master refuses a second vote about the same shard within two node timeouts, so after a recent failover
# no votes come. TAKEOVER is safe then: this node lives, so no other replica can be elected, and while it holds back
# writes, equal offsets mean that the replica has everything.
hand_over() {
  catches_up "$1" || return 1
  log "handing the slots to the replica at $1"
  clock
  votes_due=$((now + VOTES_CENTISECONDS))
  end=$((now + HANDOVER_CENTISECONDS))
  taken=
  start_failover "$1" || return 1
  while [ "$now" -lt "$end" ]; do
    if [ "$(role_of "$1")" = master ] && [ "$(role_of 127.0.0.1)" = slave ]; then
      return 0
    fi
    if [ -z "$taken" ] && [ "$now" -ge "$votes_due" ] && [ "$(offset_of "$1")" = "$(offset_of 127.0.0.1)" ]; then
      log "the masters gave no votes: CLUSTER FAILOVER TAKEOVER"
      # Refused when the votes have come at this very moment: then it is master already, and the next turn sees it.
      start_failover "$1" TAKEOVER && taken=yes
    fi
    sleep 0.05
    clock
  done
  log "the replica at $1 was not promoted"
  return 1
}

# Prints this node's role by its table of nodes: master (with slots), or anything else.
role_in_table() {
  [ -s "$NODES_CONF" ] || return 0
  awk '$3 ~ /myself/ && $3 ~ /master/ && NF > 8 && $9 !~ /^\[/ { print "master" }' "$NODES_CONF"
}

# Asks each replica in turn to take over, by the cluster bus alone. True when one is master.
hand_over_unasked() {
  for unasked_ip in $(replicas_with_data); do
    start_failover "$unasked_ip" || continue
    clock
    end=$((now + HANDOVER_CENTISECONDS))
    while [ "$now" -lt "$end" ]; do
      [ "$(role_of "$unasked_ip")" != master ] || return 0
      sleep 0.05
      clock
    done
  done
  return 1
}

clock
deadline=$((now + STOP_DEADLINE_SECONDS * 100))
waiting=
without_replica_since=
while :; do
  if ! look; then
    log "Redis does not answer: leaving"
    exit 1
  fi
  case $role:$info in
  error:BUSY*)
    # The script may end in time. At the deadline there is as much left as Redis allows a hand-over.
    note_busy
    if [ "$busy_seconds" -ge "$LONGEST_SCRIPT_SECONDS" ] || [ "$now" -ge "$deadline" ]; then
      end_long_script || exit 1
    fi
    if ! own "$ANSWER_SECONDS" PING >/dev/null; then
      log "Redis has ended, and a replica serves its slots if it has one"
      exit 0
    fi
    sleep 0.5
    continue
    ;;
  error:*)
    log "Redis answered with an error: $info"
    if [ "$(role_in_table)" != master ]; then
      log "by its table of nodes a replica, or a master without slots: nothing to hand over"
      exit 0
    fi
    if hand_over_unasked; then
      log "handed over: $unasked_ip serves the slots now"
      sleep "$SETTLE_SECONDS"
      exit 0
    fi
    clock
    if [ "$now" -ge "$deadline" ]; then
      log "no replica took the slots within $STOP_DEADLINE_SECONDS s: leaving, the others will elect one if they can"
      exit 1
    fi
    sleep 1
    continue
    ;;
  esac
  forget_busy
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
  if [ "$living_replicas" -gt 0 ]; then
    without_replica_since=
  elif [ -z "$without_replica_since" ]; then
    log "no replica lives: waiting for its pod to come back"
    without_replica_since=$now
  elif [ $((now - without_replica_since)) -ge "$RETURN_CENTISECONDS" ]; then
    log "a master without a living replica: leaving, its keys are lost"
    exit 0
  fi
  if [ -z "$replicas" ] && [ -z "$waiting" ]; then
    waiting=yes
    log "waiting for a replica to get in sync"
  fi
  sleep 0.2
done
