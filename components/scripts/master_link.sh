# shellcheck shell=sh
# shellcheck disable=SC2154 # `now` is set by clock, of lib.sh
# How a replica finds the way into its master while the passwords change. Sourced after fence.sh, by the readiness probe.
#
# Pods roll one by one, so for a while there are masters that know only the older password (or only the user default)
# and, after a failover, replicas that are to follow them or the other way round. Redis has one user and one password
# for the link to its master, and tries again every second for as long as they are refused. So a replica whose link is
# down takes the ways that it was given in turn. The file MASTER_LINKS has them, as commands; without a change under way
# there is no such file, and nothing is done.

# Hundredths of a second. Redis connects once a second, and the master must have time to answer.
MASTER_LINK_TRIED_CENTISECONDS=300

# try_master_links STATE: lets this replica try the next way into its master, if its link is down and there is a choice.
# Fails when Redis does not answer.
try_master_links() {
  [ -n "${MASTER_LINKS:-}" ] || return 0
  case $1 in
  # Data comes: it was let in.
  *master_sync_in_progress:1*) return 0 ;;
  esac
  clock
  way=$(awk -v turn="$((now / MASTER_LINK_TRIED_CENTISECONDS))" '
    { ways[NR - 1] = $0 }
    END { if (NR > 0) print ways[turn % NR] }' "$MASTER_LINKS")
  [ "$(own "$ANSWER_SECONDS" "$way")" = OK ] || return 1
}
