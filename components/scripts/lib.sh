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

# ask SECONDS HOST COMMAND…: one command to the node at HOST; without a command, commands from standard input.
# Fails when no connection is had or no answer comes in time; an error *reply* is an answer.
ask() {
  ask_seconds=$1
  ask_host=$2
  shift 2
  timeout "$ask_seconds" redis-cli -h "$ask_host" -p "$PORT" "$@"
}
