# Turns the nodes.conf of a master into that of a replica of the node that was promoted in its place.
#
#   awk -v heir=ID -v heir_ip=IP -v epoch=EPOCH -v slots='SLOT…' -f follow.awk nodes.conf nodes.conf
#
# Exit status 4, nothing changed, when the heir was none of this node's replicas: Redis from 7.2 on refuses a
# file in which a replica and its master are of different shards, so that case is left to Redis itself.

function replaced(flags, from, to, unwanted, names, n, i, kept) {
  n = split(flags, names, ",")
  for (i = 1; i <= n; i++) {
    if (index("," unwanted ",", "," names[i] ",")) continue
    kept = kept (kept == "" ? "" : ",") (names[i] == from ? to : names[i])
  }
  return kept
}

function shard(address) {
  return match(address, /shard-id=[0-9a-f]+/) ? substr(address, RSTART, RLENGTH) : ""
}

function bare(i) { for (i = NF; i > 8; i--) $i = ""; sub(/ +$/, "") }

NR == FNR {
  if (index("," $3 ",", ",myself,")) me = $1
  if ($1 == heir) {
    heir_master = $4
    heir_shard = shard($2)
  }
  next
}

FNR == 1 && (me == "" || heir_master != me) { exit 4 }

$1 == "vars" {
  if ($3 + 0 < epoch + 0) $3 = epoch
  print
  next
}

$1 == me {
  bare()
  $3 = replaced($3, "master", "slave")
  $4 = heir
}

$1 == heir {
  bare()
  $3 = replaced($3, "slave", "master", "fail,fail?,noaddr")
  $4 = "-"
  $7 = epoch
  sub(/^[^:]*:/, heir_ip ":", $2)
  $0 = $0 " " slots
}

$4 == me { $4 = heir }

$4 == heir && heir_shard != "" { sub(/shard-id=[0-9a-f]+/, heir_shard, $2) }

{ print }
