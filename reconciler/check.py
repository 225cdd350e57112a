"""`python -m reconciler.check --cluster-domain DOMAIN`: exit 0 where an update's Jobs can do their work, else 2.

It is the first Job of an update. That its pod starts says that the others' will. Beyond that it looks whether the names
of pods can resolve at all: with another cluster's domain every later Job would wait for pods that DNS does not know.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import reconciler.connection  # noqa: F401 (it brings redis-py, which the Jobs need beside this package)
from reconciler.exit_status import ExitStatus

RESOLV_CONF = Path("/etc/resolv.conf")
_SERVICES = "svc."
"""How the entry of a pod's search list begins that has all namespaces, and the cluster's domain after it."""


def cluster_domain(resolv_conf: str) -> str | None:
    """What the kubelet wrote for this pod; None where the search list is not that of a cluster. Of several lists the
    last one counts, as for resolvers."""
    found = None
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["search"]:
            services = [word for word in words[1:] if word.startswith(_SERVICES)]
            found = services[0].removeprefix(_SERVICES).rstrip(".").lower() if services else None
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reconciler.check", description="Says whether Jobs can run here.")
    parser.add_argument("--cluster-domain", required=True, metavar="DOMAIN", help="the one that the config names")
    parser.add_argument("--resolv-conf", type=Path, default=RESOLV_CONF, metavar="FILE")
    options = parser.parse_args(arguments)
    given, found = options.cluster_domain.lower(), cluster_domain(options.resolv_conf.read_text())
    if found not in (None, given):
        print(
            f"check: refused: clusterDomain = {given}: the domain of this cluster is {found}, by the search list of "
            f"its pods, so no pod would find another; set clusterDomain to {found}",
            file=sys.stderr,
        )
        return ExitStatus.REFUSED
    print("check: the pods of Jobs start")
    return ExitStatus.DONE


if __name__ == "__main__":
    sys.exit(main())
