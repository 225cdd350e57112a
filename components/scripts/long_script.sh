# shellcheck shell=sh
# shellcheck disable=SC2154 # `now` is set by clock, of lib.sh
# Ends a script or a function that does not end. Sourced after lib.sh; needs LONGEST_SCRIPT_SECONDS.
#
# While a script runs, Redis serves nobody else. After 5 s (busy-reply-threshold) it answers BUSY to whoever asks. The
# cluster bus is still answered, so no other node misses this one, and nobody is promoted.
#
# A script that has not written is ended by SCRIPT KILL, and one that was loaded as a function by FUNCTION KILL. One that
# has written cannot be ended, since half of its writes would stay. Then a replica is promoted, and this process ends
# itself. All writes of that script are lost, and only those: a replica gets them when the script has ended, and no
# client has seen any of them. The process must end, because its data would differ from its new master's by those
# writes, and a partial resync would not mend that.

# Since when Redis answers BUSY without a break, in hundredths of a second since boot.
BUSY_FILE=$RUN/busy-since
SCRIPT_ANSWER_SECONDS=1
# Hundredths of a second. FORCE needs the votes of the other masters, which come within a few round trips.
FORCED_CENTISECONDS=200

# Redis has answered BUSY. Sets `busy_seconds` to how long it has done so.
note_busy() {
  clock
  [ -s "$BUSY_FILE" ] || echo "$now" >"$BUSY_FILE"
  read -r busy_since <"$BUSY_FILE"
  busy_seconds=$(((now - busy_since) / 100))
}

# Redis has answered something else.
forget_busy() {
  rm -f "$BUSY_FILE"
}

# Ends what runs in this pod's Redis. True when Redis serves again, or has ended. False when neither was possible: the
# script has written, and no replica took over.
end_long_script() {
  for kill_command in 'SCRIPT KILL' 'FUNCTION KILL'; do
    kill_reply=$(own "$SCRIPT_ANSWER_SECONDS" "$kill_command") || kill_reply='no answer'
    case $kill_reply in
    OK* | NOTBUSY*)
      pod_log "ended a script that ran for more than $busy_seconds s ($kill_command): $kill_reply"
      forget_busy
      return 0
      ;;
    esac
  done
  pod_log "a script runs for more than $busy_seconds s and cannot be ended: $kill_reply"
  if replace_busy_master; then
    pod_log "ending Redis: the writes of that script are lost, and no others"
    end_redis
  elif [ "$busy_seconds" -ge $((2 * LONGEST_SCRIPT_SECONDS)) ]; then
    pod_log "ending Redis: no replica has its keys, and a shard that answers nobody has no use for them"
    end_redis
  else
    return 1
  fi
}

end_redis() {
  # NOW and FORCE: it waits for no replica, which it could not while the script runs.
  own "$SCRIPT_ANSWER_SECONDS" 'SHUTDOWN NOSAVE NOW FORCE' >/dev/null || :
}

# True when a replica of this node is master in its place.
replace_busy_master() {
  for replica_ip in $(replicas_with_data); do
    for how in FORCE TAKEOVER; do
      reply=$(ask "$SCRIPT_ANSWER_SECONDS" "$replica_ip" CLUSTER FAILOVER "$how" 2>&1) || reply=${reply:-no answer}
      pod_log "asked the replica at $replica_ip to take over (CLUSTER FAILOVER $how): $reply"
      clock
      promoted_end=$((now + FORCED_CENTISECONDS))
      while [ "$now" -lt "$promoted_end" ]; do
        if [ "$(ask "$SCRIPT_ANSWER_SECONDS" "$replica_ip" ROLE 2>/dev/null | head -n 1)" = master ]; then
          return 0
        fi
        sleep 0.1
        clock
      done
    done
  done
  return 1
}

# Prints the addresses of this node's replicas that answer and have its data, the one with the most first. One that is
# master already has taken over at an earlier attempt. The link to this node may be down: it is cut after 60 s in which
# this node sent nothing. Then keys show that the replica was in sync before.
replicas_with_data() {
  for known_ip in $(known_nodes replicas); do
    printf 'INFO replication\nDBSIZE\n' | ask "$SCRIPT_ANSWER_SECONDS" "$known_ip" 2>/dev/null |
      awk -v ip="$known_ip" -F: '
        { sub(/\r$/, "") }
        $1 == "role" { role = $2 }
        $1 == "slave_repl_offset" { offset = $2 }
        $1 == "master_link_status" { link = $2 }
        /^[0-9]+$/ { keys = $0 }
        END { if (role == "master" || link == "up" || keys > 0) print ip, role == "master" ? 1e18 : offset + 0 }' || :
  done | sort -k2,2nr | cut -d' ' -f1
}
