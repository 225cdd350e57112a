#!/bin/sh
# Starts Redis in its pod: present addresses in nodes.conf, no copy of the data lost, then redis-server itself.
#
# Nothing is persisted, so this node is empty whenever it starts. If it was a master, its replica still has the keys
# and would copy the emptiness as soon as this node listens (the container is back long before the others notice
# that it was gone). So the replica is promoted first, and this node comes back as a replica of it.
set -eu
umask 077
: "${POD_NAME:?}" "${POD_NAMESPACE:?}" "${POD_IP:?}" "${SERVICE_NAME:?}" "${PORT:?}" "${START_TAKEOVER_SECONDS:?}"
domain=$SERVICE_NAME.$POD_NAMESPACE.svc.${CLUSTER_DOMAIN:-cluster.local}
my_host=$POD_NAME.$domain
here=${0%/*}
. "$here/lib.sh"

SERVER_CONF=/etc/redis/redis.conf
NODES_CONF=/data/nodes.conf
RUN=/run/redis
# Seconds. A name server that has not answered by then is left alone: old addresses are often still right.
RESOLVE_SECONDS=2
# Who does not answer in this time (stalled by a fork, or gone) is asked again in the next round.
ANSWER_SECONDS=1
# Hundredths of a second. A cluster's name server keeps what it said for 5 s, and learns of a pod in about one.
OWN_NAME_CENTISECONDS=1000
# Hundredths of a second. How long a node without nodes.conf looks for one that knows the cluster.
VIEW_CENTISECONDS=400
# How many others are asked at once: one core answers for it, and any one of them would do.
OTHERS_MAX=8
# An election by the masters takes two round trips and two ticks of 100 ms.
ELECTION_CENTISECONDS=40

# As process 1 a shell ignores TERM unless it says otherwise, and the pod would take its whole grace period to end.
trap 'log "told to stop before Redis was started"; exit 143' TERM

scratch=$RUN/start
# What the last process of this pod left behind.
rm -rf "$scratch" "$RUN/writes-held"
# What a process that was killed left half-written: a snapshot from its master, or nodes.conf.
rm -f /data/temp-*.rdb "$NODES_CONF".tmp* "$NODES_CONF.new"
mkdir -p "$scratch/dns" "$scratch/answers" "$scratch/errors"

# A redis.conf string: quotes, backslashes and control characters escaped. Reads from standard input, since an
# argument would show in the list of processes.
quoted() {
  od -An -v -tx1 | awk '
    { for (i = 1; i <= NF; i++) text = text "\\x" $i }
    END { printf "\"%s\"\n", text }'
}

# What Redis knows a password by. The argument stays inside this shell.
digest_of() {
  printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

write_server_conf() {
  {
    printf 'include %s\n' "$SERVER_CONF"
    printf 'port %s\n' "$PORT"
    # 127.0.0.1 for kubectl exec and the probes. Replication leaves from the pod's address, so that a master shows
    # its replicas by the addresses they listen on.
    printf 'bind %s 127.0.0.1\n' "$POD_IP"
    printf 'bind-source-addr %s\n' "$POD_IP"
    printf 'replica-announce-ip %s\n' "$POD_IP"
    printf 'cluster-announce-ip %s\n' "$POD_IP"
    printf 'cluster-announce-hostname %s\n' "$my_host"
    if [ -n "${REDISCLI_AUTH:-}" ]; then
      secret=$(printf '%s' "$REDISCLI_AUTH" | quoted)
      printf 'masterauth %s\n' "$secret"
      if [ -n "${ALSO_ACCEPTED_AUTH:-}" ]; then
        # While the password is changed there are two; only the user they belong to can have both.
        printf 'user default on #%s #%s ~* &* +@all\n' \
          "$(digest_of "$REDISCLI_AUTH")" "$(digest_of "$ALSO_ACCEPTED_AUTH")"
      else
        printf 'requirepass %s\n' "$secret"
      fi
    fi
  } >"$RUN/redis.conf.new"
  mv "$RUN/redis.conf.new" "$RUN/redis.conf"
}

# Prints `HOST IP`, `HOST gone` (no such name) or `HOST unknown` (nobody could say) for every host name on standard
# input, all asked for at once. A Service's name has several addresses: one line each.
resolve() {
  rm -f "$scratch/dns/"*
  while read -r host; do
    timeout "$RESOLVE_SECONDS" nslookup -type=a "$host" >"$scratch/dns/$host" 2>&1 &
  done
  wait
  for answer in "$scratch/dns/"*; do
    [ -f "$answer" ] || continue
    # The first address is the name server's own. Older versions number the addresses.
    awk -v host="${answer##*/}" '
      /^Name:/ { named = 1 }
      named && /^Address( [0-9]+)?:/ {
        ip = $0
        sub(/^Address( [0-9]+)?:[ \t]*/, "", ip)
        sub(/[^0-9.].*$/, "", ip)
        if (ip != "") { print host, ip; found = 1 }
      }
      /NXDOMAIN|No answer/ { gone = 1 }
      END { if (!found) print host, gone ? "gone" : "unknown" }' "$answer"
  done
}

# A pod with a new address waits until its own name has it. Then of any two pods that moved, the one that waited longer
# finds the other, and tells it: nobody stays lost because both asked too early.
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

# Whether nodes.conf is one that Redis wrote to its end; the reason is in $scratch/why if not.
is_whole() {
  if [ -n "$(tail -c 1 "$NODES_CONF")" ]; then
    echo "its last line has no end" >"$scratch/why"
    return 1
  fi
  awk -f "$here/nodes_conf.awk" /dev/null "$NODES_CONF" >/dev/null 2>"$scratch/why"
}

# Gives each node in nodes.conf its present address. A file that Redis would refuse is put aside: this pod then
# starts as a new node, which the repair Job puts back into its place.
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
  awk -v self_ip="$POD_IP" -v port="$PORT" -f "$here/nodes_conf.awk" \
    "$scratch/dns.table" "$NODES_CONF" >"$scratch/nodes.conf"
  replace_nodes_conf
  log "addresses of the others: $(awk '
    { n[$2 ~ /^[0-9]/ ? "ip" : $2]++ }
    END { printf "%d resolved, %d gone, %d unknown", n["ip"], n["gone"], n["unknown"] }' "$scratch/dns.table")"
}

# rename(2) within one file system is what keeps a half-written file from ever being seen.
replace_nodes_conf() {
  if cmp -s "$scratch/nodes.conf" "$NODES_CONF"; then
    return 0
  fi
  cp "$scratch/nodes.conf" "$NODES_CONF.new"
  sync "$NODES_CONF.new"
  mv "$NODES_CONF.new" "$NODES_CONF"
}

# survey IP…: asks the nodes at these addresses at once; the findings are in $scratch/found (see survey.awk).
# `late` is how many neither answered nor refused the connection.
survey() {
  rm -f "$scratch/answers/"* "$scratch/errors/"*
  for ip; do
    printf 'INFO replication\nDBSIZE\nCLUSTER NODES\n' |
      ask "$ANSWER_SECONDS" "$ip" >"$scratch/answers/$ip" 2>"$scratch/errors/$ip" &
  done
  wait
  [ $# -gt 0 ] || : >"$scratch/answers/none"
  late=0
  for ip; do
    if [ ! -s "$scratch/answers/$ip" ] && ! grep -q refused "$scratch/errors/$ip"; then
      late=$((late + 1))
    fi
  done
  own=$NODES_CONF
  [ -s "$own" ] || own=/dev/null
  awk -v my_ip="$POD_IP" -v my_host="$my_host" -v port="$PORT" -v own="$own" -f "$here/survey.awk" \
    "$own" "$scratch/answers/"* | sort -k1,1 -k3,3nr >"$scratch/found"
}

found() {
  awk -v kind="$1" '$1 == kind { print $2 }' "$scratch/found"
}

# Addresses of my replicas, or of all others, as nodes.conf has them.
known_nodes() {
  [ -s "$NODES_CONF" ] || return 0
  awk -v which="$1" '
    NR == FNR { if ($3 ~ /myself/) me = $1; next }
    $1 == "vars" || $1 == me || (which == "replicas" && $4 != me) { next }
    { ip = $2; sub(/@.*/, "", ip); sub(/:[0-9]*$/, "", ip); if (ip != "") print ip }' "$NODES_CONF" "$NODES_CONF"
}

# Sets `targets` to some of the others, from nodes.conf or else from the Service of this pod's set. Each of them knows
# the whole cluster, so a few will do. `nameless` is 1 when no name server could say.
some_others() {
  nameless=0
  if [ -s "$NODES_CONF" ]; then
    known_nodes all >"$scratch/others"
  else
    echo "$domain" | resolve >"$scratch/set.table"
    if grep -q ' unknown$' "$scratch/set.table"; then
      nameless=1
    fi
    awk '$2 ~ /^[0-9]/ { print $2 }' "$scratch/set.table" >"$scratch/others"
  fi
  targets=$(awk -v me="$POD_IP" '$1 != me' "$scratch/others" | shuf -n "$OTHERS_MAX")
}

promote() {
  ip=$1
  how=$2
  log "the replica at $ip has the keys of this node: CLUSTER FAILOVER $how"
  if ! reply=$(ask "$ANSWER_SECONDS" "$ip" CLUSTER FAILOVER "$how" 2>&1) || [ "$reply" != OK ]; then
    log "the replica at $ip said to CLUSTER FAILOVER $how: ${reply:-nothing}"
  fi
}

follow_successor() {
  read -r _ heir_ip heir epoch slots <"$scratch/successor"
  status=0
  awk -v heir="$heir" -v heir_ip="$heir_ip" -v epoch="$epoch" -v slots="$slots" -f "$here/follow.awk" \
    "$NODES_CONF" "$NODES_CONF" >"$scratch/nodes.conf" || status=$?
  case $status in
  0)
    replace_nodes_conf
    log "my slots are served by $heir at $heir_ip: starting as its replica"
    ;;
  4) log "my slots are served by $heir at $heir_ip, which was no replica of mine: Redis will follow it" ;;
  *) return "$status" ;;
  esac
}

# Returns when no node with keys would copy the emptiness of this one, or when START_TAKEOVER_SECONDS are over.
#
# FORCE asks the other masters for their votes. TAKEOVER needs none, and is safe only while nobody else can be
# elected: when every other replica of this node answers and is none, or when the deadline shows that
# the masters had all the time to elect one and could not (their majority is gone).
protect_copies() {
  clock
  deadline=$((now + START_TAKEOVER_SECONDS * 100))
  view_deadline=$((now + VIEW_CENTISECONDS))
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
    copies=$(found copy)
    silent=$(found silent)
    if [ -n "$copies" ]; then
      best=${copies%%"
"*}
      if [ -z "$forced_at" ]; then
        promote "$best" FORCE
        forced_at=$now
      elif [ -z "$taken_at" ] && [ $((now - forced_at)) -ge "$ELECTION_CENTISECONDS" ] &&
        { [ -z "$silent" ] || [ "$now" -ge "$deadline" ]; }; then
        promote "$best" TAKEOVER
        taken_at=$now
      elif [ -n "$taken_at" ] && [ $((now - taken_at)) -ge "$ELECTION_CENTISECONDS" ] && [ "$now" -ge "$deadline" ]; then
        log "the replica at $best was not promoted within $START_TAKEOVER_SECONDS s: starting without its keys"
        return 0
      fi
    elif [ -z "$silent" ]; then
      # Without nodes.conf only a member of the cluster can tell what this node was, so who may be one is asked again.
      if [ "$asked" = others ] &&
        { [ -s "$NODES_CONF" ] || [ $((late + nameless)) -eq 0 ] || [ -n "$(found view)" ] ||
          [ "$now" -ge "$view_deadline" ]; }; then
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
    # Others may know of replicas that this node's file, or DNS, does not.
    targets=$(printf '%s\n' "$targets" "$silent" | sort -u)
    sleep 0.1
  done
}

write_server_conf
refresh_addresses
protect_copies
rm -rf "$scratch"
trap - TERM
exec redis-server "$RUN/redis.conf"
