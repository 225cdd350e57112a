# shellcheck shell=sh
# Takes up a renewed certificate without a restart. Sourced by start.sh, after lib.sh.
#
# Whoever issues the certificate renews it in the Secret, and the kubelet brings the mounted files up to date, within
# about a minute and all in one moment. Redis has read them when it started. It reads them again when it is told to, and
# keeps what it has when they do not belong together.

# Seconds. A renewed certificate is there a month before the old one ends, so there is no hurry.
CERTIFICATE_LOOK_SECONDS=${CERTIFICATE_LOOK_SECONDS:-15}
CERTIFICATE_ANSWER_SECONDS=5

certificate_digest() {
  cat "$TLS/tls.crt" "$TLS/tls.key" "$TLS/ca.crt" | sha256sum | cut -d ' ' -f 1
}

# Says something to the pod's log, unless it was the last thing said.
say_once() {
  [ "$1" = "${certificate_said:-}" ] || log "$1"
  certificate_said=$1
}

# Has Redis read the files, and shows that it takes connections with them. False when it does not.
read_certificate() {
  certificate_reply=$(own "$CERTIFICATE_ANSWER_SECONDS" \
    "CONFIG SET tls-cert-file $TLS/tls.crt tls-key-file $TLS/tls.key tls-ca-cert-file $TLS/ca.crt") || return 1
  if [ "$certificate_reply" != OK ]; then
    say_once "a renewed certificate is refused: $certificate_reply. The one before it stays"
    return 1
  fi
  # The handshake is the proof: the authority in the files must know the certificate that Redis shows now, and Redis
  # must know the one in the files.
  # shellcheck disable=SC2086,SC2154 # one word each; over_tls is set by lib.sh
  certificate_reply=$(timeout "$CERTIFICATE_ANSWER_SECONDS" redis-cli -h 127.0.0.1 -p "$TLS_PORT" $over_tls PING 2>&1) ||
    certificate_reply=${certificate_reply:-no answer}
  if [ "$certificate_reply" != PONG ]; then
    say_once "a renewed certificate is read, but a connection with it fails: $certificate_reply"
    return 1
  fi
  certificate_said=
  log "a renewed certificate is in use"
}

# Looks for a renewed certificate for as long as the pod lives. Returns at once. Its standard error is the pod's log.
watch_certificate() {
  (
    certificate_in_use=$(certificate_digest)
    while sleep "$CERTIFICATE_LOOK_SECONDS"; do
      certificate_now=$(certificate_digest)
      if [ "$certificate_now" != "$certificate_in_use" ] && read_certificate; then
        certificate_in_use=$certificate_now
      fi
    done
  ) >/dev/null &
}
