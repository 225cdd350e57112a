# Reads what other nodes answered, and says which of them this pod endangers by starting.
#
#   awk -v my_ip=IP -v my_host=HOST -v own=FILE -f survey.awk FILE ANSWERS/IP…
#
# FILE is this pod's nodes.conf (/dev/null without one). ANSWERS/IP is the answer of the node at IP to INFO replication,
# DBSIZE and CLUSTER NODES.
#
# Redis keeps no data on disk here, so this node is empty when it starts. A replica that takes it for its master would
# copy the emptiness. It does so by this node's id, or by its address. Prints a line for each finding:
#   successor IP ID EPOCH SLOT…   a master that serves the slots this node had
#   replica IP OFFSET             a replica with keys that would follow this node
#   silent IP                     a node that may be such a replica, gave no usable answer, and is not known to be dead
#   member IP                     a member of a cluster, so it would know this node if the cluster did

function has(flags, flag) { return index("," flags ",", "," flag ",") > 0 }

function ip_in(address) {
  sub(/@.*/, "", address)
  sub(/:[0-9]*$/, "", address)
  return address
}

function host_in(address, parts) { return split(address, parts, ",") > 1 ? parts[2] : "" }

# Slots are the ninth column and all after it. Those that begin with [ are being moved.
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
  is_answer = FILENAME != own
  from = FILENAME
  sub(/^.*\//, "", from)
}

{ sub(/\r$/, "") }

is_answer && /^role:/ { role[from] = substr($0, 6) }
is_answer && /^master_host:/ { follows[from] = substr($0, 13) }
is_answer && /^slave_repl_offset:/ { offset[from] = substr($0, 19) }
is_answer && /^[0-9]+$/ { keys[from] = $0 }

# A node's line, in nodes.conf or in the answer to CLUSTER NODES.
NF >= 8 && length($1) == 40 {
  id = $1
  is_writer = has($3, "myself")
  if (!is_answer) {
    if (is_writer) {
      my_ids[id] = 1
      if (has($3, "master")) my_slot = first_slot()
    }
    own_master[id] = $4
    own_ip[id] = ip_in($2)
  } else {
    known[from]++
    if (is_writer) {
      id_at[from] = id
      answered[id] = 1
      master_id[from] = $4
      if (has($3, "master") && my_slot >= 0 && claims(my_slot) && !(id in my_ids) && $7 + 0 >= epoch + 0) {
        epoch = $7
        successor = from " " id " " $7 slots()
      }
    } else if (host_in($2) == my_host) my_ids[id] = 1
    else if (ip_in($2) == my_ip) at_my_address[id] = 1
    if (has($3, "fail")) failed[id] = 1
    seen[id] = 1
    masters_of[id] = masters_of[id] " " $4
    ip_of[id] = ip_in($2)
    if (first_slot() >= 0) serving[from, id] = 1
  }
}

END {
  for (ip in known)
    if (known[ip] > 1) print "member " ip
  if (successor != "") print "successor " successor
  for (ip in id_at) {
    if (role[ip] != "slave" || keys[ip] + 0 == 0 || !((ip, master_id[ip]) in serving)) continue
    if (master_id[ip] in my_ids || follows[ip] == my_ip) print "replica " ip " " offset[ip] + 0
  }
  # Whom no answer mentions is known from this pod's own file alone.
  for (id in own_master)
    if (!(id in seen)) {
      masters_of[id] = own_master[id]
      ip_of[id] = own_ip[id]
    }
  for (id in masters_of) {
    if (id in answered || id in failed) continue
    n = split(masters_of[id], names, " ")
    for (i = 1; i <= n; i++)
      if (names[i] in my_ids || names[i] in at_my_address) {
        # Without an address there is no pod, and so no data that could be lost.
        if (ip_of[id] != "") print "silent " ip_of[id]
        break
      }
  }
}
