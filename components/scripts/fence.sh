# shellcheck shell=sh
# Fencing: holds back writes in a master that is cut off from the other masters. The readiness probe does it, because it
# runs every second on the node itself and needs no network for that. Sourced after lib.sh; needs NODE_TIMEOUT_MS and
# FENCE_AFTER_MS.
#
# A master that is cut off from the others, but not from its clients, takes writes until Redis notices. Redis notices
# after up to one and a half node timeouts: it sends a ping when it has heard nothing for half a timeout, and waits one
# whole timeout for the answer. Meanwhile a replica is elected, and all these writes are lost when the network heals.
#
# In a healthy cluster no answer is older than half a node timeout and a round trip, so silence shows earlier than Redis
# acts on it. From then on writes wait. They are not refused, since the silence may end, and they wait no longer than
# Redis needs to notice.

# Shorter than the probe's own time limit, so that the reason is logged before the probe is ended.
ANSWER_SECONDS=4
# This file exists while writes are held back.
HELD_FILE=$RUN/writes-held
# When this node itself stood still (a fork), all answers look old. They are read within this time after it goes on.
SECOND_LOOK_SECONDS=0.3

# Prints what this node says of itself and of the others. Fails when Redis does not answer.
own_state() {
  own "$ANSWER_SECONDS" 'INFO server clients persistence replication' 'CLUSTER NODES'
}

# missing_majority STATE: prints `N of M` when this node is a master with slots and has lately heard N of all M such
# masters, which is no majority. Prints nothing otherwise.
missing_majority() {
  printf '%s\n' "$1" | awk -v within_ms="$FENCE_AFTER_MS" -f "${0%/*}/majority.awk"
}

# fence STATE: holds back writes while this node hears no majority. Fails when Redis does not answer.
fence() {
  heard=$(missing_majority "$1") || return 1
  if [ -n "$heard" ] && [ ! -e "$HELD_FILE" ]; then
    sleep "$SECOND_LOOK_SECONDS"
    state_again=$(own_state) || return 1
    heard=$(missing_majority "$state_again") || return 1
  fi
  if [ -z "$heard" ]; then
    resume_writes
    return
  fi
  # Sent again at each look, which moves the end of the pause forward. If the probes stop, the pause ends by itself, but
  # not before Redis has noticed.
  [ "$(own "$ANSWER_SECONDS" "CLIENT PAUSE $NODE_TIMEOUT_MS WRITE")" = OK ] || return 1
  if [ ! -e "$HELD_FILE" ]; then
    : >"$HELD_FILE"
    pod_log "writes are held back: only $heard masters were heard in the last $FENCE_AFTER_MS ms"
  fi
}

# Lets writes go on if they were held back. Fails when Redis does not answer.
resume_writes() {
  [ -e "$HELD_FILE" ] || return 0
  [ "$(own "$ANSWER_SECONDS" 'CLIENT UNPAUSE')" = OK ] || return 1
  rm "$HELD_FILE"
  pod_log "writes are taken again: this node hears a majority of masters, or it is no master any more"
}
