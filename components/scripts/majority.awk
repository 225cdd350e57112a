# Whether this node, if it is a master with slots, has lately heard a majority of all such masters.
#
#   awk -v within_ms=MS -f majority.awk      reads INFO server and CLUSTER NODES of this node
#
# Prints `N of M` when it has heard only N of M masters within the time, itself counted, and N is no majority.
# Prints nothing when N is a majority, and when this node has no writes to lose: a replica, a master without slots, a
# cluster that is not formed. Exit status 3 when the input has no time, as while Redis is loading.

function has(flags, flag) { return index("," flags ",", "," flag ",") > 0 }

{ sub(/\r$/, "") }

/^server_time_usec:/ { now_ms = substr($0, 18) / 1000 }

# Columns: ID ADDRESS FLAGS MASTER PING_SENT PONG_RECEIVED EPOCH LINK SLOT…
NF > 8 && length($1) == 40 && has($3, "master") && $9 !~ /^\[/ {
  masters++
  if (has($3, "myself")) has_slots_itself = 1
  # PONG_RECEIVED keeps the time of the last answer, however long the next one takes.
  if (has($3, "myself") || ($6 > 0 && now_ms - $6 <= within_ms)) heard++
}

END {
  if (now_ms == 0) exit 3
  if (has_slots_itself && 2 * heard <= masters) print heard + 0 " of " masters
}
