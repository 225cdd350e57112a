# Reads what other nodes answered and says whose data this pod endangers by starting.
#
#   awk -v my_ip=IP -v my_host=HOST -v port=PORT -v own=FILE -f survey.awk FILE ANSWERS/IP…
#
# FILE is this pod's nodes.conf (/dev/null without one); ANSWERS/IP is the reply of the node at IP to
# INFO replication, DBSIZE and CLUSTER NODES. Redis keeps nothing on disk here, so this node is empty when it
# starts: whoever replicates from its id, or from its address as another node had it, would copy the emptiness.
# One line for each:
#   successor IP ID EPOCH SLOT…   a master that serves the slots this node had
#   copy IP OFFSET                a replica with keys that would follow this node
#   silent IP                     a replica that may follow this node, gave no usable answer and is not known dead
#   view IP                       a member of a cluster, so what it knows of this node counts

function has(flags, flag) { return index("," flags ",", "," flag ",") > 0 }

function ip_in(address) {
  sub(/@.*/, "", address)
  sub(/:[0-9]*$/, "", address)
  return address
}

function host_in(address, parts) { return split(address, parts, ",") > 1 ? parts[2] : "" }

function first_slot(i) {
  for (i = 9; i <= NF; i++)
    if ($i !~ /^\[/) return $i + 0
  return -1
}

function claims(slot, i, range) {
  for (i = 9; i <= NF; i++) {
    if ($i ~ /^\[/) continue
    if (split($i, range, "-") == 1) range[2] = range[1]
    if (slot >= range[1] + 0 && slot <= range[2] + 0) return 1
  }
  return 0
}

function slots(i, text) {
  for (i = 9; i <= NF; i++)
    if ($i !~ /^\[/) text = text " " $i
  return text
}

BEGIN { my_slot = -1 }

FNR == 1 {
  live = FILENAME != own
  at = FILENAME
  sub(/^.*\//, "", at)
  if (live) asked[at] = 1
}

{ sub(/\r$/, "") }

live && /^role:/ { role[at] = substr($0, 6) }
live && /^master_host:/ { follows[at] = substr($0, 13) }
live && /^master_port:/ { follows[at] = follows[at] ":" substr($0, 13) }
live && /^slave_repl_offset:/ { offset[at] = substr($0, 19) }
live && /^[0-9]+$/ { keys[at] = $0 }

NF >= 8 && length($1) == 40 {
  id = $1
  mine = has($3, "myself")
  if (!live) {
    if (mine) {
      guarded[id] = 1
      if (has($3, "master")) my_slot = first_slot()
    }
    own_master[id] = $4
    own_ip[id] = ip_in($2)
  } else {
    known[at]++
    if (mine) {
      id_at[at] = id
      answered[id] = 1
      master_id[at] = $4
      if (has($3, "master") && my_slot >= 0 && claims(my_slot) && !(id in guarded) && $7 + 0 >= epoch + 0) {
        epoch = $7
        successor = at " " id " " $7 slots()
      }
    } else if (host_in($2) == my_host) guarded[id] = 1
    else if (index($2, my_ip ":" port "@") == 1) here[id] = 1
    if (has($3, "fail")) failed[id] = 1
    seen[id] = 1
    masters_of[id] = masters_of[id] " " $4
    live_ip[id] = ip_in($2)
    if (first_slot() >= 0) serving[at, id] = 1
  }
}

END {
  for (ip in known)
    if (known[ip] > 1) print "view " ip
  if (successor != "") print "successor " successor
  for (ip in id_at) {
    if (role[ip] != "slave" || keys[ip] + 0 == 0 || !((ip, master_id[ip]) in serving)) continue
    if (master_id[ip] in guarded || follows[ip] == my_ip ":" port) print "copy " ip " " offset[ip] + 0
  }
  for (id in own_master)
    if (!(id in seen)) {
      masters_of[id] = own_master[id]
      live_ip[id] = own_ip[id]
    }
  for (id in masters_of) {
    if (id in answered || id in failed) continue
    n = split(masters_of[id], names, " ")
    for (i = 1; i <= n; i++)
      if (names[i] in guarded || names[i] in here) {
        # Without an address there is no pod, and without a pod no copy.
        if (live_ip[id] != "") print "silent " live_ip[id]
        break
      }
  }
}
