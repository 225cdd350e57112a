#!/bin/sh
# redis-cli for people: `kubectl exec POD -- sh /scripts/cli.sh COMMAND…` reaches the pod's own Redis in every mode of
# TLS. Plain redis-cli reaches it only where there is a port without TLS.
set -eu
: "${PORT:?}"
. "${0%/*}/lib.sh"
# shellcheck disable=SC2086 # one word each
exec redis-cli $own_address "$@"
