# shellcheck shell=sh
# shellcheck disable=SC2154 # `now` is set by clock, of lib.sh
# One connection to this pod's own Redis that is kept from its start on. Sourced by lib.sh, after RUN is set.
#
# Redis reserves no connection for anybody. Once clients have taken all of them (maxclients), whoever comes is refused:
# the readiness probe, which fences and makes room, and the hook that hands over. They then send their commands by this
# connection: into a named pipe that a redis-cli reads, whose answers are in a file.

WAY_IN=$RUN/way-in
WAY_IN_ANSWERS=$RUN/way-in.answers
WAY_IN_PID=$RUN/way-in.pid
# The file with the answers is in memory, and nobody needs old ones.
WAY_IN_ANSWERS_MAX_BYTES=262144
# Seconds. A connection that broke is noticed when it is used; a redis-cli then connects again, while there is room.
WAY_IN_USE_SECONDS=20

# Opens the connection as soon as Redis listens, and keeps it. Returns at once.
keep_way_in() {
  rm -f "$WAY_IN" "$WAY_IN_ANSWERS" "$WAY_IN_PID"
  mkfifo "$WAY_IN"
  (
    # Open for writing here too, so that there is no end of the input when a writer closes it.
    exec 3<>"$WAY_IN"
    until probe 2 PING >/dev/null 2>&1; do
      sleep 0.5
    done
    (
      while sleep "$WAY_IN_USE_SECONDS"; do
        if [ "$(wc -c <"$WAY_IN_ANSWERS")" -gt "$WAY_IN_ANSWERS_MAX_BYTES" ]; then
          : >"$WAY_IN_ANSWERS"
        fi
        echo PING >&3
      done
    ) &
    while :; do
      # shellcheck disable=SC2086 # one word each
      redis-cli $own_address <&3 3<&- >>"$WAY_IN_ANSWERS" 2>&1 &
      echo "$!" >"$WAY_IN_PID"
      wait "$!" || :
      sleep 1
    done
  ) >/dev/null 2>&1 &
}

# by_way_in SECONDS COMMAND…: sends commands, one to each argument, by the kept connection. Fails when there is none, or
# when no answer comes in time.
by_way_in() {
  way_in_seconds=$1
  shift
  { read -r way_in_pid <"$WAY_IN_PID"; } 2>/dev/null && kill -0 "$way_in_pid" 2>/dev/null || return 1
  clock
  way_in_end=$((now + way_in_seconds * 100))
  way_in_name=$$-$now
  # One write, so that the commands of two probes at once do not mix.
  printf '%s\n' "ECHO begin-$way_in_name" "$@" "ECHO end-$way_in_name" >"$WAY_IN"
  until grep -qx "end-$way_in_name" "$WAY_IN_ANSWERS"; do
    clock
    [ "$now" -lt "$way_in_end" ] || return 1
    sleep 0.05
  done
  sed -n "/^begin-$way_in_name\$/,/^end-$way_in_name\$/p" "$WAY_IN_ANSWERS" | sed '1d;$d'
}
