# shellcheck shell=sh
# What the scripts of a Redis pod share. Sourced; needs PORT, and REDISCLI_AUTH in the environment if there is a password.

log() {
  printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${0##*/}" "$*" >&2
}

# Sets `now` to hundredths of a second since boot: date(1) of busybox has whole seconds only.
clock() {
  read -r uptime _ </proc/uptime
  # shellcheck disable=SC2034 # read by the scripts
  now=${uptime%.*}${uptime#*.}
}

# probe SECONDS COMMAND…: one command to this pod's own Redis. Fails when no answer comes in time.
# Not by timeout(1): busybox's leaves a process behind each time, which falls to process 1, and Redis there collects
# none: the probes would leave 20,000 a day.
probe() {
  probe_seconds=$1
  shift
  clock
  probe_end=$((now + probe_seconds * 100))
  redis-cli -h 127.0.0.1 -p "$PORT" "$@" &
  probe_pid=$!
  # Ended: state Z, or gone where the shell has collected it already.
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

# ask SECONDS HOST COMMAND…: one command to the node at HOST; without a command, commands from standard input.
# Fails when no connection is had or no answer comes in time; an error *reply* is an answer.
ask() {
  ask_seconds=$1
  ask_host=$2
  shift 2
  timeout "$ask_seconds" redis-cli -h "$ask_host" -p "$PORT" "$@"
}
