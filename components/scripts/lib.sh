# shellcheck shell=sh
# What the scripts of a Redis pod share. Sourced; needs PORT, and REDISCLI_AUTH in the environment if there is a password.

log() {
  printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${0##*/}" "$*" >&2
}

# Says it in the pod's log, which is what process 1 writes: the output of hooks and of probes that succeed is thrown away.
pod_log() {
  if [ -w /proc/1/fd/1 ]; then
    log "$*" 2>>/proc/1/fd/1
  else
    log "$*"
  fi
}

# Sets `now` to hundredths of a second since boot: date(1) of busybox has whole seconds only.
clock() {
  read -r uptime _ </proc/uptime
  # shellcheck disable=SC2034 # read by the scripts
  now=${uptime%.*}${uptime#*.}
}

# probe SECONDS COMMAND…: one command to this pod's own Redis; without a command, commands from standard input. Fails
# when no answer comes in time.
# Not by timeout(1): busybox's leaves a process behind each time, which falls to process 1, and Redis there collects
# none: the probes would leave 20,000 a day.
probe() {
  probe_seconds=$1
  shift
  clock
  probe_end=$((now + probe_seconds * 100))
  # By way of another number: a shell gives what it starts in the background no standard input.
  { redis-cli -h 127.0.0.1 -p "$PORT" "$@" <&3 3<&- & } 3<&0
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
