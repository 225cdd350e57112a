# Turns the nodes.conf of a master into that of a replica of its successor: the node that was promoted in its place.
#
#   awk -v successor=ID -v successor_ip=IP -v epoch=EPOCH -v slots='SLOT…' -f follow.awk nodes.conf nodes.conf
#
# The file is read twice: first to find the two nodes, then to write it. Exit status 4, with nothing printed, when the
# successor was not one of this node's replicas. Redis from 7.2 on refuses a file in which a replica and its master
# belong to different shards, so Redis itself must make this node a replica then.

# The flags with `from` replaced by `to`, and without those in the list `unwanted`.
function changed_flags(flags, from, to, unwanted, names, n, i, kept) {
  n = split(flags, names, ",")
  for (i = 1; i <= n; i++) {
    if (index("," unwanted ",", "," names[i] ",")) continue
    kept = kept (kept == "" ? "" : ",") (names[i] == from ? to : names[i])
  }
  return kept
}

function shard_id(address) {
  return match(address, /shard-id=[0-9a-f]+/) ? substr(address, RSTART, RLENGTH) : ""
}

# Slots are the ninth column and all after it.
function drop_slots(i) { for (i = NF; i > 8; i--) $i = ""; sub(/ +$/, "") }

NR == FNR {
  if (index("," $3 ",", ",myself,")) my_id = $1
  if ($1 == successor) {
    successor_master = $4
    successor_shard = shard_id($2)
  }
  next
}

FNR == 1 && (my_id == "" || successor_master != my_id) { exit 4 }

$1 == "vars" {
  if ($3 + 0 < epoch + 0) $3 = epoch
  print
  next
}

$1 == my_id {
  drop_slots()
  $3 = changed_flags($3, "master", "slave")
  $4 = successor
}

$1 == successor {
  drop_slots()
  $3 = changed_flags($3, "slave", "master", "fail,fail?,noaddr")
  $4 = "-"
  $7 = epoch
  # An IPv6 address has colons of its own: the port's is the one whose digits end at @.
  $2 = successor_ip substr($2, match($2, /:[0-9]+@/))
  $0 = $0 " " slots
}

# The other replicas of this node follow the successor too.
$4 == my_id { $4 = successor }

# A replica's shard must be that of its master, or Redis refuses the file.
$4 == successor && successor_shard != "" { sub(/shard-id=[0-9a-f]+/, successor_shard, $2) }

{ print }
