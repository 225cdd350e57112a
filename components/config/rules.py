"""Contradictions between config keys that are valid by themselves, and the limits of a Redis Cluster.

A rule takes the settings it compares as arguments of their names and yields what is wrong, each message beginning
with a key. It is not asked where one of its settings is wrong already: that has its own message. Those that keep a
cache safe are in `components.config.rules_of_security`.
"""

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

from annotated_types import Le

from components.config.choices import CapacityType, Placement
from components.config.engines import server_of
from components.config.formats import shown
from components.config.rules_of_security import (
    certificates_have_one_source,
    certificates_name_what_clients_ask_for,
    metrics_have_a_reader,
    one_change_of_passwords_at_a_time,
    production_names_its_clients,
    production_says_whether_it_has_tls,
    production_says_whether_it_pins_images,
    the_stack_signs_for_nodes_alone,
    who_is_told_is_let_in,
)
from components.config.settings import Eks, Images, Nodes, Settings, Storage
from components.config.units import format_size
from components.config.zones import region_of

MASTERS_MIN = 3
"""Redis Cluster promotes a replica by a majority of masters; with two, the loss of one leaves no majority."""
MASTERS_MAX = 500
"""The Redis Cluster specification aims at 1,000 nodes; with a replica each that is 500 masters."""
REPLICAS_MAX = next(
    int(str(bound.le)) for bound in Settings.model_fields["replicas_per_master"].metadata if isinstance(bound, Le)
)
"""What `replicasPerMaster` may say at most, so that nobody is advised to say more."""
ZONES_MIN = 3
"""With two zones one of them holds half of the masters or more, and its loss ends every failover."""

Rule = Callable[..., Iterator[str]]


def contradictions(valid: Mapping[str, Any]) -> Iterator[str]:
    """What the rules say about the settings that are valid by themselves, by field name."""
    for rule in RULES:
        names = signature(rule).parameters
        if all(name in valid for name in names):
            yield from rule(**{name: valid[name] for name in names})


def masters_within_limits(pod_memory: int, total_memory: int) -> Iterator[str]:
    """Between three masters and 500."""
    masters = -(-total_memory // pod_memory)
    given = f"podMemory = {format_size(pod_memory)} with totalMemory = {format_size(total_memory)}"
    if masters < MASTERS_MIN:
        yield (
            f"{given}: the number of masters would be {masters}, and a Redis Cluster needs at least {MASTERS_MIN}; "
            "make podMemory smaller or totalMemory larger"
        )
    elif masters > MASTERS_MAX:
        yield (
            f"{given}: the number of masters would be {masters}, and a Redis Cluster carries at most {MASTERS_MAX}; "
            "make podMemory larger or totalMemory smaller"
        )


def one_cluster_is_named(eks: Eks | None, kube_context: str) -> Iterator[str]:
    """Either an EKS cluster or a kubeconfig context, never both."""
    if eks is None and not kube_context:
        yield "eks or kubeContext is missing: say which EKS cluster, or which kubeconfig context, to use"
    if eks is not None and kube_context:
        yield (
            f'kubeContext = "{kube_context}" with eks.clusterName = "{eks.cluster_name}": only one of the two can be '
            "meant; remove the other"
        )


def a_lost_zone_is_survived(eks: Eks | None, nodes: Nodes) -> Iterator[str]:
    """Three zones at least, unless fewer are accepted."""
    if eks is None or nodes.allow_fewer_zones:
        return
    zones = sorted(eks.subnets)
    if len(zones) < ZONES_MIN:
        yield (
            f"eks.subnets in {', '.join(zones)}: {len(zones)} of at least {ZONES_MIN} zones, so one zone would hold "
            "half of the masters and its loss would end all failovers; add zones, or accept that with "
            "nodes.allowFewerZones: true"
        )


def every_copy_has_its_zone(eks: Eks | None, nodes: Nodes, replicas_per_master: int) -> Iterator[str]:
    """A zone for a master and for each of its replicas, unless fewer are accepted. Below three zones the rule above
    speaks."""
    if eks is None or nodes.allow_fewer_zones:
        return
    zones = len(eks.subnets)
    if ZONES_MIN <= zones <= replicas_per_master:
        yield (
            f"replicasPerMaster = {replicas_per_master} with {zones} zones: a master and each of its replicas need a "
            f"zone of their own; at most {zones - 1} replicas, or more zones"
        )


def production_has_no_spot_nodes(nodes: Nodes) -> Iterator[str]:
    """Spot nodes outside production alone."""
    if nodes.capacity_type is CapacityType.SPOT and nodes.production:
        yield (
            "nodes.capacityType = spot with nodes.production = true: AWS takes spot nodes back at two minutes' notice, "
            "several at a time; use onDemand, or say nodes.production: false"
        )


def production_keeps_copies_apart(eks: Eks | None, nodes: Nodes) -> Iterator[str]:
    """On EKS, placement is a wish outside production alone."""
    if eks is not None and nodes.placement is Placement.PREFERRED and nodes.production:
        yield (
            "nodes.placement = preferred with nodes.production = true: two copies of a shard could end on one node; "
            "use required, or say nodes.production: false"
        )


def volumes_have_one_shape(eks: Eks | None, storage: Storage) -> Iterator[str]:
    """What shapes the StorageClass fast-ssd is said only where that class is made."""
    shape = {
        "iops": storage.iops,
        "throughputMibPerSecond": storage.throughput_mib_per_second,
        "kmsKeyId": storage.kms_key_id,
    }
    given = [key for key, value in shape.items() if value is not None]
    if given and (storage.class_name is not None or eks is None):
        reason = "with storage.className" if storage.class_name is not None else "without eks"
        yield (
            f"storage.{', storage.'.join(given)} {reason}: these shape the StorageClass fast-ssd, which is only made "
            "with eks and without className; remove one or the other"
        )


def what_is_asked_of_nodes_is_theirs(eks: Eks | None, nodes: Nodes) -> Iterator[str]:
    """Nodes that are not made here are not encrypted here, and nobody must believe that they were."""
    if nodes.transit_encryption and eks is None:
        yield (
            "nodes.transitEncryption = true without eks: the nodes are not made here, so it would change nothing; use "
            "tls.mode: required, or remove it"
        )


def the_key_is_where_the_nodes_are(eks: Eks | None) -> Iterator[str]:
    """A KMS key of another region is found by no volume, which shows when the first node does not start."""
    if eks is None or eks.node_kms_key_arn is None:
        return
    key_region = eks.node_kms_key_arn.split(":")[3]
    others = sorted({region_of(zone) for zone in eks.subnets} - {key_region})
    if others:
        yield (
            f"eks.nodeKmsKeyArn = {eks.node_kms_key_arn}: the key is in {key_region} and the nodes are in "
            f"{', '.join(others)}; name a key of the nodes' region"
        )


def the_server_is_known(images: Images) -> Iterator[str]:
    """An engine and a version that the program was made for, without a fault that lets clients run code."""
    try:
        server_of(images.redis, images.redis_version)
    except ValueError as error:
        yield f"images.redis = {shown(images.redis)} {error}"


RULES: Mapping[Rule, str] = {
    masters_within_limits: (
        f"`totalMemory` over `podMemory`, rounded up, is the number of masters: {MASTERS_MIN} to {MASTERS_MAX}."
    ),
    one_cluster_is_named: "Either `eks` or `kubeContext` is given, never both.",
    a_lost_zone_is_survived: (
        f"`eks.subnets` has at least {ZONES_MIN} zones, unless `nodes.allowFewerZones` is `true`."
    ),
    every_copy_has_its_zone: (
        "`eks.subnets` has a zone for a master and for each of its replicas, unless `nodes.allowFewerZones` is `true`."
    ),
    production_has_no_spot_nodes: "`nodes.capacityType` is `spot` only where `nodes.production` is `false`.",
    production_keeps_copies_apart: (
        "With `eks`, `nodes.placement` is `preferred` only where `nodes.production` is `false`."
    ),
    production_names_its_clients: (
        "`access.allowFromNamespaces` or `access.allowFromPods` names somebody, unless `nodes.production` is `false`."
    ),
    who_is_told_is_let_in: (
        "A namespace of `access.deliverTo` is in `access.allowFromNamespaces`, or has pods in `access.allowFromPods`, "
        "where these name anybody."
    ),
    metrics_have_a_reader: ("`monitoring.allowFromNamespaces` names somebody where `monitoring.exporter` is `true`."),
    volumes_have_one_shape: (
        "`storage.iops`, `storage.throughputMibPerSecond` and `storage.kmsKeyId` are given only with `eks` and without "
        "`storage.className`."
    ),
    what_is_asked_of_nodes_is_theirs: "`nodes.transitEncryption` is `true` only with `eks`.",
    the_key_is_where_the_nodes_are: "`eks.nodeKmsKeyArn` is a key of the region of `eks.subnets`.",
    production_says_whether_it_has_tls: (
        "`tls.mode` is `required` or `both`, or `tls.plainBecause` says why not, unless `nodes.production` is `false`."
    ),
    certificates_have_one_source: "`tls.issuer` or `tls.secret` is given, never both.",
    the_stack_signs_for_nodes_alone: ("`tls.clientCertificates` is `required` only with `tls.issuer` or `tls.secret`."),
    certificates_name_what_clients_ask_for: ("`access.nodeEndpoint` is `ip` only where `tls.mode` is `plain`."),
    one_change_of_passwords_at_a_time: (
        "`access.alsoAccepted` is not given while `access.defaultUser` is `everything`."
    ),
    the_server_is_known: (
        "`images.redis`, or `images.redisVersion` for it, says an engine and a version of [engines.md](engines.md)."
    ),
    production_says_whether_it_pins_images: (
        "`images.redis`, `images.python` and, where it runs, `images.exporter` have a digest, or `images.tagsBecause` "
        "says why not, unless `nodes.production` is `false`."
    ),
}
"""Every rule with the sentence that the reference of the config has for it."""
