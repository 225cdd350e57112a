# shellcheck shell=sh
# Makes room when clients are about to take all connections (maxclients). Sourced after fence.sh, by the readiness probe.
#
# Whoever comes then is refused, and that is more than applications: a replica whose link broke, the Jobs, the monitoring.
# An application that leaks connections leaves them idle. So while nearly all are taken, Redis closes those that were idle
# for IDLE_SECONDS. Clients in use lose nothing, and one with an idle pool connects again when it needs to.

IDLE_SECONDS=60
# In percent of maxclients: room is made from the first on, until the second.
CROWDED_PERCENT=90
ROOMY_PERCENT=80
# This file exists while room is made. It has the time-out that was set before.
ROOM_FILE=$RUN/room-made

# taken_percent STATE: prints how many of all connections are taken, in percent. Nothing when the state does not say.
taken_percent() {
  printf '%s\n' "$1" | awk -F: '
    { sub(/\r$/, "") }
    # Replicas are not among the connected clients, but count. So does the cluster bus.
    $1 == "connected_clients" || $1 == "connected_slaves" || $1 == "cluster_connections" { taken += $2 }
    $1 == "maxclients" { most = $2 }
    END { if (most > 0) print int(100 * taken / most) }'
}

# make_room STATE: lets Redis close idle connections while nearly all are taken. Fails when Redis does not answer.
make_room() {
  percent=$(taken_percent "$1")
  [ -n "$percent" ] || return 0
  if [ "$percent" -ge "$CROWDED_PERCENT" ] && [ ! -e "$ROOM_FILE" ]; then
    answer=$(own "$ANSWER_SECONDS" 'CONFIG GET timeout') || return 1
    # The name, and on the last line the value. An error has no number there.
    set_before=$(printf '%s\n' "$answer" | tail -n 1)
    case $set_before in
    '' | *[!0-9]*) return 1 ;;
    esac
    [ "$(own "$ANSWER_SECONDS" "CONFIG SET timeout $IDLE_SECONDS")" = OK ] || return 1
    echo "$set_before" >"$ROOM_FILE"
    pod_log "clients have taken $percent % of all connections (maxclients): those idle for $IDLE_SECONDS s are closed"
  elif [ "$percent" -lt "$ROOMY_PERCENT" ] && [ -e "$ROOM_FILE" ]; then
    read -r set_before <"$ROOM_FILE"
    [ "$(own "$ANSWER_SECONDS" "CONFIG SET timeout $set_before")" = OK ] || return 1
    rm "$ROOM_FILE"
    pod_log "clients have taken $percent % of all connections: idle ones are kept again"
  fi
}
