# shellcheck shell=sh
# Fencing, for the readiness probe: it runs every second, wherever the node is. Sourced after lib.sh; needs
# NODE_TIMEOUT_MS and FENCE_AFTER_MS.
#
# A master that is cut off from the others, but not from its clients, takes writes until Redis notices. That is after up
# to one and a half node timeouts: a ping may leave half a timeout after the last answer and is then waited for. All
# these writes are lost as soon as its replica is elected. In a healthy cluster no answer is older than half
# a timeout and a round trip, so silence shows earlier. From then on writes are held back: not refused, since the
# silence may end, and no longer than Redis needs to make up its mind.

# Shorter than the probe's own time limit, so that the reason is logged.
ANSWER_SECONDS=4
HELD=/run/redis/writes-held
# A stall of this node itself (fork) makes all answers look old; right after it they come in.
SECOND_LOOK_SECONDS=0.3

# What this node says of itself and of the others. Fails when Redis does not answer.
own_state() {
  printf 'INFO server persistence replication\nCLUSTER NODES\n' | probe "$ANSWER_SECONDS"
}

# lonely STATE: prints `N of M` when this node, a master with slots, hears only so many of such masters.
lonely() {
  printf '%s\n' "$1" | awk -v within_ms="$FENCE_AFTER_MS" -f "${0%/*}/majority.awk"
}

# fence STATE: holds back writes while this node is alone. Fails when Redis does not answer.
fence() {
  alone=$(lonely "$1") || return 1
  if [ -n "$alone" ] && [ ! -e "$HELD" ]; then
    sleep "$SECOND_LOOK_SECONDS"
    again=$(own_state) || return 1
    alone=$(lonely "$again") || return 1
  fi
  if [ -z "$alone" ]; then
    let_write
    return
  fi
  # Again at each look: the later end counts. Should the looks end, this does too, but not before Redis has noticed.
  [ "$(probe "$ANSWER_SECONDS" CLIENT PAUSE "$NODE_TIMEOUT_MS" WRITE)" = OK ] || return 1
  if [ ! -e "$HELD" ]; then
    : >"$HELD"
    pod_log "writes are held back: $alone masters were heard in the last $FENCE_AFTER_MS ms"
  fi
}

# Ends the holding, if there is one.
let_write() {
  [ -e "$HELD" ] || return 0
  [ "$(probe "$ANSWER_SECONDS" CLIENT UNPAUSE)" = OK ] || return 1
  rm "$HELD"
  pod_log "writes are taken again, or refused by Redis itself: a majority of masters is heard, or this is none now"
}
