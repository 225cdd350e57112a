# shellcheck shell=sh
# What the scripts of a Redis pod share. Sourced. Needs PORT, and REDISCLI_USER and REDISCLI_AUTH in the environment where
# there are users (see bin/redis-cli).

# Where the node keeps its table of nodes, and where the scripts keep what they remember.
NODES_CONF=/data/nodes.conf
RUN=/run/redis

# Where the node's certificate is mounted.
TLS=/tls
# How redis-cli asks over TLS: arguments, one word each. The files are named; what is in them is in no list of processes.
over_tls="--tls --cacert $TLS/ca.crt --cert $TLS/tls.crt --key $TLS/tls.key"
# How redis-cli reaches this pod's own Redis. Where every port has TLS, by a socket that only this container has: a
# certificate whose time is over keeps clients out, but must not have the probes restart a Redis that is full of keys.
own_address="-h 127.0.0.1 -p ${PORT:-}"
[ "${TLS_MODE:-plain}" != required ] || own_address="-s $RUN/redis.sock"

log() {
  printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${0##*/}" "$*" >&2
}

# Writes a line to the pod's log. That log is what process 1 writes: Kubernetes throws away the output of hooks, and of
# probes that succeed.
pod_log() {
  if [ -w /proc/1/fd/1 ]; then
    log "$*" 2>>/proc/1/fd/1
  else
    log "$*"
  fi
}

# Sets `now` to hundredths of a second since boot. (date of busybox has whole seconds only.)
clock() {
  read -r uptime _ </proc/uptime
  # shellcheck disable=SC2034 # read by the scripts
  now=${uptime%.*}${uptime#*.}
}

# probe SECONDS COMMAND…: sends one command to this pod's own Redis, or, without a command, the commands on standard
# input. Fails when no answer comes in time.
#
# timeout(1) is not used: that of busybox leaves a process behind each time. Orphans become children of process 1, which
# is Redis and collects none, so the probes would leave 20,000 dead processes a day.
probe() {
  probe_seconds=$1
  shift
  clock
  probe_end=$((now + probe_seconds * 100))
  # A shell gives a background process no standard input, so it is passed on as descriptor 3.
  # shellcheck disable=SC2086 # one word each
  { redis-cli $own_address "$@" <&3 3<&- & } 3<&0
  probe_pid=$!
  # It has ended when its state is Z, or when the shell has collected it already and it has no entry any more.
  while { read -r _ _ probe_state _ <"/proc/$probe_pid/stat"; } 2>/dev/null && [ "$probe_state" != Z ]; do
    clock
    if [ "$now" -ge "$probe_end" ]; then
      kill -KILL "$probe_pid"
      break
    fi
    sleep 0.05
  done
  wait "$probe_pid"
}

# own SECONDS COMMAND…: sends commands, one to each argument, to this pod's own Redis and prints the answers. Fails when
# no answer comes in time. An error *reply* is an answer. When clients have taken all connections, it goes by the one
# that is kept for that; without it the answer is Redis's refusal.
own() {
  own_seconds=$1
  shift
  own_errors=$RUN/own.$$
  own_status=0
  own_answer=$(printf '%s\n' "$@" | probe "$own_seconds" 2>"$own_errors") || own_status=$?
  # With a password redis-cli is refused before it sends a command, and says so on standard error alone.
  case $own_answer$(cat "$own_errors") in
  *'ERR max number of clients'*)
    own_answer='ERR max number of clients reached'
    own_by_way_in=$(by_way_in "$own_seconds" "$@") && own_answer=$own_by_way_in
    own_status=0
    ;;
  esac
  rm -f "$own_errors"
  printf '%s\n' "$own_answer"
  return "$own_status"
}

# The addresses that nodes.conf has of this node's replicas, or of all other nodes: known_nodes replicas|all.
known_nodes() {
  [ -s "$NODES_CONF" ] || return 0
  awk -v which="$1" '
    NR == FNR { if ($3 ~ /myself/) me = $1; next }
    $1 == "vars" || $1 == me || (which == "replicas" && $4 != me) { next }
    { ip = $2; sub(/@.*/, "", ip); sub(/:[0-9]*$/, "", ip); if (ip != "") print ip }' "$NODES_CONF" "$NODES_CONF"
}

# ask SECONDS HOST COMMAND…: sends one command to the node at HOST, or, without a command, the commands on standard
# input. Fails when there is no connection or no answer in time. An error *reply* is an answer.
#
# While the passwords change, a node that does not know this pod's user is asked again as the one it knows. While the
# cluster changes to TLS or back (mode both), the other node may have one of the two ports only.
ask() {
  ask_seconds=$1
  ask_host=$2
  shift 2
  if [ -z "${FALLBACK_USER:-}" ] && [ "${TLS_MODE:-plain}" != both ]; then
    ask_at "$PORT" "$@"
    return
  fi
  ask_input=
  [ $# -gt 0 ] || ask_input=$(cat)
  ask_status=0
  ask_answer=$(ask_once "$@" 2>&1) || ask_status=$?
  case ${FALLBACK_USER:+$ask_answer} in
  *WRONGPASS* | *NOAUTH*)
    ask_status=0
    ask_answer=$(REDISCLI_USER=$FALLBACK_USER REDISCLI_AUTH=$FALLBACK_AUTH ask_once "$@" 2>&1) || ask_status=$?
    ;;
  esac
  # Why there is no connection belongs to the errors: whoever asks tells by that a node that refuses from one that is gone.
  case $ask_status in
  0) printf '%s\n' "$ask_answer" ;;
  *) printf '%s\n' "$ask_answer" >&2 ;;
  esac
  return "$ask_status"
}

ask_once() {
  ask_once_status=0
  ask_once_answer=$(printf '%s\n' "$ask_input" | ask_at "$PORT" "$@" 2>&1) || ask_once_status=$?
  case ${TLS_MODE:-plain}:$ask_once_answer in
  both:*'Connection refused'*)
    printf '%s\n' "$ask_input" | ask_at "$TLS_PORT" "$@"
    return
    ;;
  esac
  printf '%s\n' "$ask_once_answer"
  return "$ask_once_status"
}

# ask_at PORT COMMAND…: at one port, in the language that belongs to it.
ask_at() {
  ask_port=$1
  shift
  ask_tls=
  [ "$ask_port" != "${TLS_PORT:-}" ] || ask_tls=$over_tls
  # shellcheck disable=SC2086 # one word each
  timeout "$ask_seconds" redis-cli -h "$ask_host" -p "$ask_port" $ask_tls "$@"
}

. "${0%/*}/way_in.sh"
