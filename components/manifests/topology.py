"""What the reconciler is told to bring about. Pure: plan -> JSON."""

import json

from components.config.engines import Line, can_follow, can_share_bus, can_take_keys, newest_of_each
from components.config.settings import Settings
from components.manifests import names, tls
from components.plan.plan import Plan

TOPOLOGY_KEY = "topology.json"
"""In the ConfigMap that the Jobs mount."""


def deadline_seconds(plan: Plan) -> int:
    """How long the reconciler may take to form the cluster and move its slots."""
    return plan.tuning.form_deadline_seconds + plan.resize.deadline_seconds


def _tls(settings: Settings) -> dict[str, object]:
    mode = settings.tls.mode
    if not mode.has_tls:
        return {"tls": mode.value, "tlsPort": names.TLS_PORT}
    files = dict(zip(("tlsCaFile", "tlsCertFile", "tlsKeyFile"), tls.files_of_clients(settings), strict=False))
    return {
        "tls": mode.value,
        "tlsPort": names.TLS_PORT,
        # Nodes are reached by addresses. This name is in the certificate of every one of them.
        "tlsName": names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, settings.cluster_domain),
        **{key: f"{names.TLS_PATH}/{file}" for key, file in files.items()},
    }


def topology(settings: Settings, plan: Plan) -> str:
    """The desired topology as the reconciler reads it (JSON)."""
    copies = plan.sizing.copies_per_shard
    return json.dumps(
        {
            "pool": plan.pool,
            "port": names.REDIS_PORT,
            **_tls(settings),
            "nodes": [
                {
                    "pod": names.pod_name(copy, shard),
                    "host": names.pod_host(copy, shard, plan.pool, settings.cluster_domain),
                    "shard": shard,
                    "role": "master" if copy == 0 else "replica",
                }
                for copy in range(copies)
                for shard in range(plan.sizing.masters)
            ],
            "seeds": [names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, settings.cluster_domain)],
            "nodeTimeoutMs": plan.tuning.node_timeout_ms,
            "deadlineSeconds": deadline_seconds(plan),
            "bringHome": True,
            "server": wanted_server(settings.images.server.line),
            "podHosts": names.pod_hosts(settings.cluster_domain),
            "move": {
                "mode": plan.resize.mode.value,
                "bytesPerSecond": plan.resize.max_bytes_per_second,
                "extraMissesPerSecond": plan.resize.extra_misses_per_second,
                "ttlSeconds": settings.workload.ttl_seconds,
            },
        },
        indent=1,
    )


def wanted_server(line: Line) -> dict[str, object]:
    """What will run, and of each engine the newest version that it can be with in one cluster, whose data it reads as a
    replica, and whose keys it reads."""
    questions = {"sharesBusWith": can_share_bus, "follows": can_follow, "takesKeysOf": can_take_keys}
    return {"title": line.title} | {
        name: {engine.value: other.version for engine, other in newest_of_each(line, question).items()}
        for name, question in questions.items()
    }
