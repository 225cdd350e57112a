# Gives each replica in a nodes.conf the shard id of its master.
#
#   awk -f shard_ids.awk nodes.conf nodes.conf
#
# Redis up to 7.4 does not start with a file in which the two differ ("corrupted cluster config file"), and writes such a
# file itself: it makes up an id for a node that it meets, and learns the true one later. A node that is stopped in
# between would never start again (redis/redis#13468, valkey-io/valkey#774).
# The file is read twice: first to find the ids, then to write it. Redis 7.0 knows no shard ids, and its file stays as it is.

NR == FNR {
  if ($1 != "vars" && match($2, /shard-id=[0-9a-f]+/)) shard[$1] = substr($2, RSTART, RLENGTH)
  next
}

$4 in shard { sub(/shard-id=[0-9a-f]+/, shard[$4], $2) }

{ print }
