# Checks a nodes.conf and gives every node its present address.
#
#   awk -v self_ip=IP -v port=PORT -v bus_port=PORT -f nodes_conf.awk DNS nodes.conf
#
# DNS is a file with lines `HOST IP`, `HOST gone` (the name does not exist) or `HOST unknown` (no name server answered).
# An IP is of IPv4 or of IPv6. Redis writes an IPv6 address without brackets, so the last colon before @ is the port's.
# A line of nodes.conf (Redis 7.0; from 7.2 on there are more comma-separated fields after the host name):
#   ID IP:PORT@BUSPORT[,HOST[,shard-id=…]] FLAGS MASTER PING PONG EPOCH LINK SLOT…
# Its last line has the epochs: vars currentEpoch N lastVoteEpoch N
# Of the fields after the host name those are kept that every server knows which writes any. A server does not start with
# one that it does not know, and the server may be another than the one that wrote the file: a Valkey 9 writes the zone of
# each node, and a Valkey 8 or a Redis ends with it. Nodes tell each other such things anew.
# Exit status 3, with the reason on standard error, when Redis did not write the file to its end: Redis would refuse to
# start with it.

function broken(why) {
  print why >"/dev/stderr"
  is_broken = 1
  exit 3
}

function without(flags, unwanted, names, n, i, kept) {
  n = split(flags, names, ",")
  kept = ""
  for (i = 1; i <= n; i++)
    if (index("," unwanted ",", "," names[i] ",") == 0)
      kept = kept (kept == "" ? "" : ",") names[i]
  return kept == "" ? "noflags" : kept
}

function known(fields, field, n, i, kept) {
  n = split(fields, field, ",")
  kept = field[1] "," field[2]
  for (i = 3; i <= n; i++)
    if (field[i] ~ /^(shard-id|nodename|tcp-port|tls-port)=/) kept = kept "," field[i]
  return kept
}

FILENAME == ARGV[1] { state[$1] = $2; next }

ended { broken("line " FNR ": more after the line of epochs") }

$1 == "vars" {
  if ($2 != "currentEpoch" || $3 !~ /^[0-9]+$/ || $4 != "lastVoteEpoch" || $5 !~ /^[0-9]+$/ || NF != 5)
    broken("line " FNR ": not the line of epochs")
  ended = 1
  print
  next
}

{
  if (NF < 8 || $1 !~ /^[0-9a-f]+$/ || length($1) != 40 || $2 !~ /^[^@ ]*:[0-9]+@[0-9]+(,.*)?$/ ||
      $3 !~ /^[a-z?,]+$/ || $4 !~ /^(-|[0-9a-f]+)$/ || $5 !~ /^[0-9]+$/ || $6 !~ /^[0-9]+$/ ||
      $7 !~ /^[0-9]+$/ || $8 !~ /^(dis)?connected$/)
    broken("line " FNR ": not a node's line")
  for (i = 9; i <= NF; i++)
    if ($i !~ /^([0-9]+(-[0-9]+)?|\[[0-9]+-[<>]-[0-9a-f]+\])$/) broken("line " FNR ": no slot: " $i)

  comma = index($2, ",")
  place = comma ? substr($2, 1, comma - 1) : $2
  rest = comma ? known(substr($2, comma)) : ""
  split(rest, aux, ",")
  host = comma ? aux[2] : ""
  ports = place
  sub(/^.*:/, "", ports)
  ip = substr(place, 1, length(place) - length(ports) - 1)

  if (index("," $3 ",", ",myself,")) {
    myselves++
    ip = self_ip
  } else if (host != "" && state[host] == "gone") {
    # Its old address may belong to another pod by now, and a replica that follows it would copy a foreign data set.
    # So the node gets no address here. It announces its new one itself, or another node does.
    ip = ""
    ports = "0@0"
    $3 = without($3, "noaddr") ",noaddr"
  } else if (host != "" && state[host] ~ /[.:]/) {
    # That the node failed was observed at its old address, so it says nothing about the new one.
    if (state[host] != ip) $3 = without($3, "fail,fail?")
    if (ports == "0@0") ports = port "@" bus_port
    $3 = without($3, "noaddr")
    ip = state[host]
  }
  $2 = ip ":" ports rest
  print
}

END {
  if (is_broken) exit 3
  if (!ended) broken("ends before the line of epochs")
  if (myselves != 1) broken("names " (myselves + 0) " nodes as the one it belongs to")
}
