# shellcheck shell=sh
# Keeps a spare file on the volume, and gives its room away when the volume is full. Sourced after lib.sh, by start.sh and
# by the readiness probe.
#
# Redis from 7.2 on, and Valkey, write nodes.conf anew beside the old one, and end when the new one does not fit. So a full
# volume shows at the worst moment: when a master is lost, every node notes that, and both copies of a shard end at once.
# Little belongs on the volume, but a snapshot may be on its way through it, or somebody else may fill the same disk. Whoever
# fills it fails once it is full, and then the room of the spare file is enough for nodes.conf.

SPARE_FILE=/data/spare
# nodes.conf takes 300 bytes for each node.
SPARE_KIB=1024
# With less left than this, the spare file is removed.
LEAST_KIB=512
# With more left than this, it is made (again).
AMPLE_KIB=4096

free_kib() {
  df -Pk "${SPARE_FILE%/*}" | awk 'NR == 2 { print $4 }'
}

# Makes the spare file, or removes it, as the room on the volume has it. Fails when it cannot do either.
keep_spare() {
  spare_free_kib=$(free_kib)
  case $spare_free_kib in
  '' | *[!0-9]*)
    log "df does not say how much of the volume is free"
    return 1
    ;;
  esac
  if [ -e "$SPARE_FILE" ]; then
    [ "$spare_free_kib" -lt "$LEAST_KIB" ] || return 0
    rm "$SPARE_FILE" || return 1
    pod_log "the volume is full: $spare_free_kib KiB were left, and the $SPARE_KIB KiB kept for nodes.conf are free now"
  elif [ "$spare_free_kib" -gt "$AMPLE_KIB" ]; then
    # Of random bytes, because some file systems give no room to zeros.
    dd if=/dev/urandom of="$SPARE_FILE" bs=1024 count="$SPARE_KIB" 2>/dev/null || {
      rm -f "$SPARE_FILE"
      log "no spare file could be written to the volume"
      return 1
    }
  fi
}
