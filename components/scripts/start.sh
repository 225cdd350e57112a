#!/bin/sh
# Starts Redis in its pod. First it corrects the addresses in nodes.conf, then it makes sure that no keys are lost, then
# it becomes redis-server.
#
# Nothing is kept on disk, so this node is empty whenever it starts. If it was a master, its replica still has the keys.
# The container is back long before the other nodes notice that it was gone, so the replica would follow the restarted
# master and copy its emptiness. Therefore the replica is promoted first, and this node comes back as its replica.
#
# It is long because it is one sequence: each step goes on with what the steps before have found of the others.
set -eu
umask 077
: "${POD_NAME:?}" "${POD_NAMESPACE:?}" "${POD_IP:?}" "${SERVICE_NAME:?}" "${PORT:?}" "${START_TAKEOVER_SECONDS:?}"
: "${CLUSTER_DOMAIN:?}"
# The pods of a cluster have addresses of one family, or of both, and then the first counts. All others are asked for in
# the family of this pod's own, since it could not reach another.
case $POD_IP in
*:*) address_record=aaaa ;;
*) address_record=a ;;
esac
domain=$SERVICE_NAME.$POD_NAMESPACE.svc.$CLUSTER_DOMAIN
my_host=$POD_NAME.$domain
here=${0%/*}
. "$here/lib.sh"
. "$here/certificate.sh"
. "$here/spare.sh"

SERVER_CONF=/etc/redis/redis.conf
# Seconds. When a name server has not answered by then, the old addresses are kept: they are often still right.
RESOLVE_SECONDS=2
# Seconds. A node that does not answer by then (it stands still in a fork, or is gone) is asked again in the next round.
ANSWER_SECONDS=1
# Hundredths of a second. The cluster's name server caches an answer for 5 s, and learns of a pod in about 1 s.
OWN_NAME_CENTISECONDS=1000
# Hundredths of a second. How long a node without nodes.conf looks for a member of the cluster.
MEMBER_CENTISECONDS=400
# How many others are asked at once. Any one of them knows the whole cluster, and each question costs this pod's core.
OTHERS_MAX=8
# Hundredths of a second. An election takes two round trips and two of Redis's ticks of 100 ms.
ELECTION_CENTISECONDS=40

# A shell that is process 1 ignores TERM unless it has a trap. Without this one, a pod that is deleted now would take
# its whole grace period to end.
trap 'log "told to stop before Redis was started"; exit 143' TERM

scratch=$RUN/start
# What the container that ran before in this pod has left.
rm -rf "$scratch" "$RUN/writes-held" "$RUN/busy-since" "$RUN/room-made"
# What a process that was killed has left half written: a snapshot from its master, or nodes.conf.
rm -f /data/temp-*.rdb "$NODES_CONF".tmp* "$NODES_CONF.new"
keep_spare || log "a full volume will end this node at the next change of the cluster"
mkdir -p "$scratch/dns" "$scratch/answers" "$scratch/errors"

# Prints the ports for clients, and the language of the bus and of replication. Redis 7.0 finds a master by the port of
# the bus's language, so both speak one.
write_ports() {
  case ${TLS_MODE:-plain} in
  plain) printf 'port %s\n' "$PORT" ;;
  both) printf 'port %s\ntls-port %s\n' "$PORT" "$TLS_PORT" ;;
  required) printf 'port 0\ntls-port %s\nunixsocket %s\nunixsocketperm 700\n' "$TLS_PORT" "$RUN/redis.sock" ;;
  *)
    log "TLS_MODE is ${TLS_MODE}; it must be plain, both or required"
    return 1
    ;;
  esac
  if [ "${TLS_MODE:-plain}" != plain ]; then
    printf 'tls-cluster %s\ntls-replication %s\n' "$bus_tls" "$bus_tls"
  fi
}

write_server_conf() {
  {
    printf 'include %s\n' "$SERVER_CONF"
    write_ports
    # 127.0.0.1 is for kubectl exec and the probes. Replicas connect from the pod's own address, so that their master
    # lists them with the addresses they listen on.
    printf 'bind %s 127.0.0.1\n' "$POD_IP"
    printf 'bind-source-addr %s\n' "$POD_IP"
    printf 'replica-announce-ip %s\n' "$POD_IP"
    printf 'cluster-announce-ip %s\n' "$POD_IP"
    printf 'cluster-announce-hostname %s\n' "$my_host"
    # Logs of the other nodes then name this one beside its id. Redis 7.0 does not know it, and no server starts with a
    # line that it does not know.
    case $(redis-server --version) in
    *' v=7.0.'*) ;;
    *) printf 'cluster-announce-human-nodename %s.%s\n' "$POD_NAME" "$POD_NAMESPACE" ;;
    esac
    # Pods of a Valkey are told their zone, where Kubernetes knows it (1.35). Clients may ask for it to read there.
    [ -z "${AVAILABILITY_ZONE:-}" ] || printf 'availability-zone %s\n' "$AVAILABILITY_ZONE"
    # A file with users that is missing must keep Redis from starting: without it everybody would be let in.
    [ -z "${USERS_CONF:-}" ] || printf 'include %s\n' "$USERS_CONF"
  } >"$RUN/redis.conf.new"
  mv "$RUN/redis.conf.new" "$RUN/redis.conf"
}

# Prints `HOST IP`, `HOST gone` (no such name) or `HOST unknown` (no name server answered) for every host name on
# standard input. All are asked for at once. A Service's name has several addresses, and gets a line for each.
resolve() {
  rm -f "$scratch/dns/"*
  while read -r host; do
    timeout "$RESOLVE_SECONDS" nslookup -type="$address_record" "$host" >"$scratch/dns/$host" 2>&1 &
  done
  wait
  for answer in "$scratch/dns/"*; do
    [ -f "$answer" ] || continue
    # The first address in nslookup's output is the name server's own. Older versions number the addresses.
    awk -v host="${answer##*/}" '
      /^Name:/ { named = 1 }
      named && /^Address( [0-9]+)?:/ {
        ip = $0
        sub(/^Address( [0-9]+)?:[ \t]*/, "", ip)
        sub(/[^0-9A-Fa-f.:].*$/, "", ip)
        if (ip != "") { print host, ip; found = 1 }
      }
      /NXDOMAIN|No answer/ { gone = 1 }
      END { if (!found) print host, gone ? "gone" : "unknown" }' "$answer"
  done
}

# A pod with a new address waits until DNS gives that address for its own name. When two pods moved, the one that waited
# longer then finds the other. Without this, both could ask too early, and neither would ever find the other.
await_own_name() {
  old_ip=$(awk '$3 ~ /myself/ { sub(/:[0-9]+@.*/, "", $2); print $2 }' "$NODES_CONF")
  if [ "$old_ip" = "$POD_IP" ]; then
    return 0
  fi
  clock
  name_deadline=$((now + OWN_NAME_CENTISECONDS))
  until echo "$my_host" | resolve | grep -qxF "$my_host $POD_IP"; do
    clock
    if [ "$now" -ge "$name_deadline" ]; then
      log "DNS does not give $my_host the address $POD_IP yet: starting all the same"
      return 0
    fi
    sleep 0.3
  done
}

# True when Redis wrote nodes.conf to its end. Otherwise the reason is in $scratch/why.
is_whole() {
  if [ -n "$(tail -c 1 "$NODES_CONF")" ]; then
    echo "its last line has no end" >"$scratch/why"
    return 1
  fi
  awk -f "$here/nodes_conf.awk" /dev/null "$NODES_CONF" >/dev/null 2>"$scratch/why"
}

# Gives each node in nodes.conf its present address. Redis would not start with a broken file, so that is put aside:
# this pod then starts as a new node, and the repair Job gives it its place again.
refresh_addresses() {
  [ -s "$NODES_CONF" ] || return 0
  if ! is_whole; then
    mv "$NODES_CONF" "$NODES_CONF.broken"
    log "nodes.conf is broken ($(cat "$scratch/why")): kept as $NODES_CONF.broken, starting as a new node"
    return 0
  fi
  await_own_name
  awk '$1 != "vars" && split($2, part, ",") > 1 && part[2] != "" && $3 !~ /myself/ { print part[2] }' "$NODES_CONF" |
    sort -u | resolve >"$scratch/dns.table"
  awk -v self_ip="$POD_IP" -v port="$announced_port" -v bus_port="${BUS_PORT:-$((PORT + 10000))}" -f "$here/nodes_conf.awk" \
    "$scratch/dns.table" "$NODES_CONF" >"$scratch/nodes.conf.addressed"
  awk -f "$here/shard_ids.awk" "$scratch/nodes.conf.addressed" "$scratch/nodes.conf.addressed" >"$scratch/nodes.conf"
  replace_nodes_conf
  log "addresses of the others: $(awk '
    { n[$2 ~ /[.:]/ ? "ip" : $2]++ }
    END { printf "%d resolved, %d gone, %d unknown", n["ip"], n["gone"], n["unknown"] }' "$scratch/dns.table")"
}

# A rename within one file system happens in one moment, so nobody ever sees a half-written file.
replace_nodes_conf() {
  if cmp -s "$scratch/nodes.conf" "$NODES_CONF"; then
    return 0
  fi
  cp "$scratch/nodes.conf" "$NODES_CONF.new"
  sync "$NODES_CONF.new"
  mv "$NODES_CONF.new" "$NODES_CONF"
}

# survey IP…: asks the nodes at these addresses, all at once. What they say is in $scratch/found (see survey.awk).
# Sets `unreached` to how many neither answered nor refused the connection.
survey() {
  rm -f "$scratch/answers/"* "$scratch/errors/"*
  for ip; do
    printf 'INFO replication\nDBSIZE\nCLUSTER NODES\n' |
      ask "$ANSWER_SECONDS" "$ip" >"$scratch/answers/$ip" 2>"$scratch/errors/$ip" &
  done
  wait
  [ $# -gt 0 ] || : >"$scratch/answers/none"
  unreached=0
  for ip; do
    if [ ! -s "$scratch/answers/$ip" ] && ! grep -q refused "$scratch/errors/$ip"; then
      unreached=$((unreached + 1))
    fi
  done
  own=$NODES_CONF
  [ -s "$own" ] || own=/dev/null
  awk -v my_ip="$POD_IP" -v my_host="$my_host" -v own="$own" -f "$here/survey.awk" \
    "$own" "$scratch/answers/"* | sort -k1,1 -k3,3nr >"$scratch/found"
}

# found KIND: prints the addresses of that kind, the replica with the most data first.
found() {
  awk -v kind="$1" '$1 == kind { print $2 }' "$scratch/found"
}

# Sets `targets` to some of the other nodes, from nodes.conf or else from the Service of this pod's StatefulSet.
# Sets `dns_silent` to 1 when no name server answered.
some_others() {
  dns_silent=0
  if [ -s "$NODES_CONF" ]; then
    known_nodes all >"$scratch/others"
  else
    echo "$domain" | resolve >"$scratch/set.table"
    if grep -q ' unknown$' "$scratch/set.table"; then
      dns_silent=1
    fi
    awk '$2 ~ /[.:]/ { print $2 }' "$scratch/set.table" >"$scratch/others"
  fi
  targets=$(awk -v me="$POD_IP" '$1 != me' "$scratch/others" | shuf -n "$OTHERS_MAX")
}

# Sets `bus_tls` to whether this node speaks TLS on the cluster bus: yes or no. Sets `announced_port` to the port for
# clients that nodes.conf has of each node, which is the one of the bus's language.
#
# All nodes must speak the same language, or they cannot hear each other. In mode both they change it together, while
# they run (reconciler/decide/bus.py), so a node that starts meanwhile asks one that lives. When none does, all start
# anew, and each goes by the language in which the cluster was last: nodes.conf has the port that belongs to it.
choose_bus_language() {
  case ${TLS_MODE:-plain} in
  both) ask_bus_language ;;
  required) bus_tls=yes ;;
  *) bus_tls=no ;;
  esac
  announced_port=$PORT
  [ "$bus_tls" = no ] || announced_port=$TLS_PORT
}

ask_bus_language() {
  bus_tls=yes
  if [ -s "$NODES_CONF" ]; then
    bus_tls=$(awk -v tls=":$TLS_PORT@" '
      $3 ~ /myself/ { spoken = index($2, tls) ? "yes" : "no" }
      END { print spoken == "" ? "yes" : spoken }' "$NODES_CONF")
  fi
  some_others
  for other in $targets; do
    spoken=$(ask "$ANSWER_SECONDS" "$other" CONFIG GET tls-cluster 2>/dev/null | tail -n 1) || spoken=
    case $spoken in
    yes | no)
      bus_tls=$spoken
      break
      ;;
    esac
  done
  log "tls-cluster $bus_tls, as the other nodes have it"
}

# promote IP FORCE|TAKEOVER: lets the replica at IP become master.
promote() {
  ip=$1
  how=$2
  log "the replica at $ip has the keys of this node: CLUSTER FAILOVER $how"
  if ! reply=$(ask "$ANSWER_SECONDS" "$ip" CLUSTER FAILOVER "$how" 2>&1) || [ "$reply" != OK ]; then
    log "the replica at $ip answered to CLUSTER FAILOVER $how: ${reply:-nothing}"
  fi
}

# Makes this node a replica of the node that serves its slots now (in $scratch/successor).
follow_successor() {
  read -r _ successor_ip successor epoch slots <"$scratch/successor"
  status=0
  awk -v successor="$successor" -v successor_ip="$successor_ip" -v epoch="$epoch" -v slots="$slots" \
    -f "$here/follow.awk" "$NODES_CONF" "$NODES_CONF" >"$scratch/nodes.conf" || status=$?
  case $status in
  0)
    replace_nodes_conf
    log "my slots are served by $successor at $successor_ip: starting as its replica"
    ;;
  4) log "my slots are served by $successor at $successor_ip, which was no replica of mine: Redis will follow it" ;;
  *) return "$status" ;;
  esac
}

# Returns when no replica with keys would copy the emptiness of this node, or when START_TAKEOVER_SECONDS are over.
#
# FORCE asks the other masters for their votes. TAKEOVER needs no votes, so it is safe only while no other replica of
# this node can be elected. That is so in two cases: every other replica answers and is not master, or the deadline is
# over, in which the masters would have elected one if a majority of them lived.
protect_data() {
  clock
  deadline=$((now + START_TAKEOVER_SECONDS * 100))
  member_deadline=$((now + MEMBER_CENTISECONDS))
  forced_at=
  taken_at=
  asked=replicas
  targets=$(known_nodes replicas)
  if [ -z "$targets" ]; then
    asked=others
    some_others
  fi
  while :; do
    # shellcheck disable=SC2086 # addresses, one word each
    survey $targets
    clock
    if grep '^successor ' "$scratch/found" >"$scratch/successor"; then
      follow_successor
      return 0
    fi
    replicas=$(found replica)
    silent=$(found silent)
    if [ -n "$replicas" ]; then
      best=${replicas%%"
"*}
      if [ -z "$forced_at" ]; then
        promote "$best" FORCE
        forced_at=$now
      elif [ -z "$taken_at" ] && [ $((now - forced_at)) -ge "$ELECTION_CENTISECONDS" ] &&
        { [ -z "$silent" ] || [ "$now" -ge "$deadline" ]; }; then
        promote "$best" TAKEOVER
        taken_at=$now
      elif [ -n "$taken_at" ] && [ "$now" -ge "$deadline" ] &&
        [ $((now - taken_at)) -ge "$ELECTION_CENTISECONDS" ]; then
        log "the replica at $best was not promoted within $START_TAKEOVER_SECONDS s: starting without its keys"
        return 0
      fi
    elif [ -z "$silent" ]; then
      # Without nodes.conf only a member of the cluster knows what this node was, so nodes that may be members are asked
      # again until one has answered.
      if [ "$asked" = others ] &&
        { [ -s "$NODES_CONF" ] || [ $((unreached + dns_silent)) -eq 0 ] || [ -n "$(found member)" ] ||
          [ "$now" -ge "$member_deadline" ]; }; then
        return 0
      fi
      some_others
      asked=others
    elif [ "$now" -ge "$deadline" ]; then
      log "no answer from the replica at" "$silent" "within $START_TAKEOVER_SECONDS s: starting without its keys"
      return 0
    elif [ "$asked" = replicas ]; then
      some_others
      asked=others
    fi
    # The others may know of replicas that are not in this node's file or in DNS.
    targets=$(printf '%s\n' "$targets" "$silent" | sort -u)
    sleep 0.1
  done
}

choose_bus_language
write_server_conf
refresh_addresses
protect_data
rm -rf "$scratch"
trap - TERM
keep_way_in
[ "${TLS_MODE:-plain}" = plain ] || watch_certificate
exec redis-server "$RUN/redis.conf"
