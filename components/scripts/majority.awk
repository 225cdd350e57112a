# Whether this node, if it is a master with slots, has lately heard from a majority of such masters.
#
#   awk -v within_ms=MS -f majority.awk      reads INFO server and CLUSTER NODES of this node
#
# Prints `N of M` when so few masters were heard within the time, itself among them. Prints nothing when they are a
# majority, or when there is nothing to lose: a replica, a master without slots, a cluster that is not formed.

function has(flags, flag) { return index("," flags ",", "," flag ",") > 0 }

{ sub(/\r$/, "") }

/^server_time_usec:/ { now_ms = substr($0, 18) / 1000 }

NF > 8 && length($1) == 40 && has($3, "master") && $9 !~ /^\[/ {
  masters++
  if (has($3, "myself")) concerned = 1
  # An answer that is under way longer than this is none; one that came keeps its time.
  if (has($3, "myself") || ($6 > 0 && now_ms - $6 <= within_ms)) heard++
}

END {
  if (now_ms == 0) exit 3
  if (concerned && 2 * heard <= masters) print heard + 0 " of " masters
}
