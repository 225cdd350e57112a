"""Each rule between config keys alone, with settings on both sides of each of its limits."""

from typing import Any

import pytest

from components.config import rules
from components.config.load import settings_of
from components.config.settings import Access, Eks, Images, Monitoring, Nodes, Storage, Tls
from components.config.units import GIB, MIB

LETTERS = "abcdef"


def eks(zones: int) -> Eks:
    return Eks.model_validate(
        {"clusterName": "c", "subnets": {f"us-east-1{letter}": f"subnet-{letter}" for letter in LETTERS[:zones]}}
    )


def tls(**keys: Any) -> Tls:
    return Tls.model_validate(keys)


def nodes(**keys: Any) -> Nodes:
    return Nodes.model_validate(keys)


@pytest.mark.parametrize(
    ("pod_mib", "total_mib", "message"),
    [
        (100, 99, "the number of masters would be 1, and a Redis Cluster needs at least 3; make podMemory smaller"),
        (100, 200, "the number of masters would be 2, and a Redis Cluster needs at least 3; make podMemory smaller"),
        (100, 201, None),
        (99, 200, None),
        (1, 500, None),
        (1, 501, "the number of masters would be 501, and a Redis Cluster carries at most 500"),
        (2, 1, "make podMemory smaller or totalMemory larger"),
    ],
)
def test_a_cluster_has_3_to_500_masters(pod_mib: int, total_mib: int, message: str | None) -> None:
    found = list(rules.masters_within_limits(pod_mib * MIB, total_mib * MIB))
    assert len(found) == (message is not None)
    assert all(str(message) in text for text in found), found
    assert all(text.startswith(f"podMemory = {pod_mib}MB with totalMemory = {total_mib}MB: ") for text in found)


@pytest.mark.parametrize(
    ("zones", "context", "message"),
    [(0, "", "is missing"), (3, "", None), (0, "kind", None), (3, "kind", "only one of the two can be meant")],
)
def test_exactly_one_cluster_is_named(zones: int, context: str, message: str | None) -> None:
    found = list(rules.one_cluster_is_named(eks(zones) if zones else None, context))
    assert len(found) == (message is not None)
    assert all(str(message) in text for text in found)


@pytest.mark.parametrize(("zones", "fewer", "refused"), [(2, False, True), (3, False, False), (1, True, False)])
def test_fewer_than_three_zones_have_to_be_accepted(zones: int, fewer: bool, refused: bool) -> None:
    found = list(rules.a_lost_zone_is_survived(eks(zones), nodes(allowFewerZones=fewer)))
    assert bool(found) == refused
    assert all(f"{zones} of at least 3 zones" in text for text in found)


def test_without_eks_nothing_is_said_of_zones() -> None:
    assert not list(rules.a_lost_zone_is_survived(None, nodes()))
    assert not list(rules.every_copy_has_its_zone(None, nodes(), 3))


@pytest.mark.parametrize(
    ("zones", "replicas", "fewer", "refused"),
    [
        (3, 2, False, False),
        (3, 3, False, True),
        (4, 3, False, False),
        (3, 3, True, False),
        # Two zones have the message of the rule before.
        (2, 3, False, False),
    ],
)
def test_every_copy_of_a_shard_has_a_zone(zones: int, replicas: int, fewer: bool, refused: bool) -> None:
    found = list(rules.every_copy_has_its_zone(eks(zones), nodes(allowFewerZones=fewer), replicas))
    assert bool(found) == refused
    assert all(f"at most {zones - 1} replicas" in text for text in found)


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"capacityType": "spot"}, True),
        ({"capacityType": "spot", "production": False}, False),
        ({"capacityType": "onDemand"}, False),
    ],
)
def test_spot_nodes_are_for_test_clusters(keys: dict[str, Any], refused: bool) -> None:
    assert bool(list(rules.production_has_no_spot_nodes(nodes(**keys)))) == refused


@pytest.mark.parametrize(
    ("zones", "keys", "refused"),
    [
        (3, {"placement": "preferred"}, True),
        (3, {"placement": "preferred", "production": False}, False),
        (3, {"placement": "required"}, False),
        (0, {"placement": "preferred"}, False),
    ],
)
def test_production_keeps_copies_apart(zones: int, keys: dict[str, Any], refused: bool) -> None:
    found = list(rules.production_keeps_copies_apart(eks(zones) if zones else None, nodes(**keys)))
    assert bool(found) == refused


@pytest.mark.parametrize(("key", "value"), [("transitEncryption", True)])
def test_nodes_that_are_not_made_here_are_asked_for_nothing(key: str, value: Any) -> None:
    asked = nodes(**{key: value})
    assert not list(rules.what_is_asked_of_nodes_is_theirs(eks(3), asked))
    assert not list(rules.what_is_asked_of_nodes_is_theirs(None, nodes()))
    (message,) = rules.what_is_asked_of_nodes_is_theirs(None, asked)
    assert message.startswith(f"nodes.{key} = ")
    assert "without eks" in message


@pytest.mark.parametrize(
    ("key_region", "refused"), [("us-east-1", False), ("us-east-2", True), ("us-gov-east-1", True)]
)
def test_the_key_of_root_volumes_is_in_the_nodes_region(key_region: str, refused: bool) -> None:
    key = f"arn:aws:kms:{key_region}:111122223333:key/1234abcd"
    cluster = eks(3).model_copy(update={"node_kms_key_arn": key})
    found = list(rules.the_key_is_where_the_nodes_are(cluster))
    assert bool(found) == refused
    assert all(f"in {key_region} and the nodes are in us-east-1" in text for text in found)
    assert not list(rules.the_key_is_where_the_nodes_are(eks(3)))
    assert not list(rules.the_key_is_where_the_nodes_are(None))


SHAPES: list[tuple[str, Any]] = [("iops", 4000), ("throughputMibPerSecond", 200), ("kmsKeyId", "key")]


@pytest.mark.parametrize(("key", "value"), SHAPES)
def test_a_volume_is_shaped_only_where_its_class_is_made_here(key: str, value: Any) -> None:
    shaped = Storage.model_validate({key: value})
    foreign = Storage.model_validate({key: value, "className": "gp3"})
    assert not list(rules.volumes_have_one_shape(eks(3), shaped))
    (without,) = rules.volumes_have_one_shape(None, shaped)
    assert without.startswith(f"storage.{key} without eks")
    for cluster in (None, eks(3)):
        (beside,) = rules.volumes_have_one_shape(cluster, foreign)
        assert beside.startswith(f"storage.{key} with storage.className")
    assert not list(rules.volumes_have_one_shape(None, Storage.model_validate({"className": "gp3"})))


@pytest.mark.parametrize(
    ("keys", "begins"),
    [
        ({}, None),
        ({"issuer": "ca"}, None),
        ({"mode": "both", "issuer": "ca"}, None),
        ({"mode": "required", "secret": "kept"}, None),
        ({"mode": "both"}, None),
        ({"mode": "required"}, None),
        ({"mode": "required", "issuer": "ca", "secret": "kept"}, "tls.issuer = ca with tls.secret = kept"),
    ],
)
def test_a_certificate_has_one_source(keys: dict[str, Any], begins: str | None) -> None:
    found = list(rules.certificates_have_one_source(tls(**keys)))
    assert [message[: len(begins or "")] for message in found] == ([] if begins is None else [begins])


@pytest.mark.parametrize(
    ("production", "keys", "begins"),
    [
        (True, {}, "tls.mode is not given with nodes.production = true"),
        (True, {"issuer": "ca"}, "tls.mode is not given with nodes.production = true"),
        (True, {"mode": "plain"}, "tls.mode = plain with nodes.production = true"),
        (True, {"mode": "plain", "plainBecause": "the nodes encrypt it"}, None),
        (True, {"mode": "both"}, None),
        (True, {"mode": "required"}, None),
        (False, {}, None),
        (False, {"mode": "plain"}, None),
    ],
)
def test_production_says_whether_it_has_tls(production: bool, keys: dict[str, Any], begins: str | None) -> None:
    found = list(rules.production_says_whether_it_has_tls(tls(**keys), nodes(production=production)))
    assert [message[: len(begins or "")] for message in found] == ([] if begins is None else [begins])
    assert all(word in text for text in found for word in ("tls.mode: required", "tls.mode: both", "tls.plainBecause"))


DIGEST = f"@sha256:{'0123456789abcdef' * 4}"
PINNED = {"redis": f"redis:7.4-alpine{DIGEST}", "python": f"python:3.13-alpine{DIGEST}"}
EXPORTER = f"oliver006/redis_exporter:v1.92.1{DIGEST}"


@pytest.mark.parametrize(
    ("production", "exporter", "keys", "begins"),
    [
        (
            True,
            False,
            {},
            'images.redis = "redis:7.4-alpine" and images.python = "python:3.13-alpine" without a digest, ',
        ),
        (True, False, PINNED, None),
        (True, False, PINNED | {"python": "python:3.13"}, 'images.python = "python:3.13" without a digest'),
        (True, True, PINNED, 'images.exporter = "oliver006/redis_exporter:v1.92.1" without a digest'),
        (True, True, PINNED | {"exporter": EXPORTER}, None),
        (True, True, {"tagsBecause": "the registry lets nobody move a tag"}, None),
        (False, True, {}, None),
    ],
)
def test_production_runs_images_with_their_digests_or_says_why_not(
    production: bool, exporter: bool, keys: dict[str, Any], begins: str | None
) -> None:
    images, monitoring = Images.model_validate(keys), Monitoring.model_validate({"exporter": exporter})
    found = list(rules.production_says_whether_it_pins_images(images, monitoring, nodes(production=production)))
    assert [message[: len(begins or "")] for message in found] == ([] if begins is None else [begins])
    assert all(
        word in text for text in found for word in ("@sha256: and 64", "imagetools inspect", "images.tagsBecause")
    )


def test_the_digest_is_looked_up_where_the_nodes_fetch_the_image() -> None:
    images = Images.model_validate({"registry": "mirror.example.com"})
    (found,) = rules.production_says_whether_it_pins_images(images, Monitoring.defaults(), nodes())
    assert "redis:7.4-alpine@sha256: and 64" in found
    assert "imagetools inspect mirror.example.com/library/redis:7.4-alpine`" in found


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"mode": "required", "clientCertificates": "required"}, True),
        ({"mode": "both", "clientCertificates": "required"}, True),
        ({"mode": "required", "clientCertificates": "optional"}, False),
        ({"mode": "required", "clientCertificates": "required", "issuer": "ca"}, False),
        ({"mode": "required", "clientCertificates": "required", "secret": "kept"}, False),
        ({"mode": "plain", "clientCertificates": "required"}, False),
    ],
)
def test_the_stack_s_own_authority_signs_for_nodes_alone(keys: dict[str, Any], refused: bool) -> None:
    assert bool(list(rules.the_stack_signs_for_nodes_alone(tls(**keys)))) == refused


@pytest.mark.parametrize("mode", ["plain", "both", "required"])
@pytest.mark.parametrize("endpoint", ["hostname", "ip"])
def test_where_there_is_tls_nodes_are_named(mode: str, endpoint: str) -> None:
    access = Access.model_validate({"nodeEndpoint": endpoint})
    found = list(rules.certificates_name_what_clients_ask_for(tls(mode=mode, issuer="ca"), access))
    assert bool(found) == (mode != "plain" and endpoint == "ip")


def test_every_rule_is_asked_and_none_where_a_setting_is_wrong_already() -> None:
    valid = {
        "pod_memory": 2 * GIB,
        "total_memory": GIB,
        "eks": eks(2).model_copy(update={"node_kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"}),
        "kube_context": "kind",
        "nodes": nodes(capacityType="spot", placement="preferred"),
        "replicas_per_master": 3,
        "storage": Storage.model_validate({"iops": 4000, "className": "gp3"}),
        "tls": tls(mode="both", issuer="ca", secret="kept"),
        "images": Images.model_validate({"redis": "redis:6"}),
        "monitoring": Monitoring.model_validate({"exporter": True, "allowFromNamespaces": []}),
        "access": Access.model_validate(
            {"defaultUser": "everything", "alsoAccepted": "the one of before", "nodeEndpoint": "ip"}
        ),
    }
    # Of the two rules about zones only one speaks, and of the two about who is let in. With eks, nodes are made here.
    # Two of the four about TLS are silent, since it is on and has two sources.
    assert len(list(rules.contradictions(valid))) == len(rules.RULES) - 5
    assert list(rules.contradictions({})) == []
    without_nodes = {name: value for name, value in valid.items() if name != "nodes"}
    assert len(list(rules.contradictions(without_nodes))) == 9


@pytest.mark.parametrize(
    ("production", "access", "refused"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"allowFromNamespaces": ["web"]}, False),
        (True, {"allowFromPods": ["web/app=shop"]}, False),
    ],
)
def test_production_says_who_may_connect(production: bool, access: dict[str, Any], refused: bool) -> None:
    found = list(rules.production_names_its_clients(Access.model_validate(access), nodes(production=production)))
    assert bool(found) == refused
    assert all("access.allowFromNamespaces: [images]" in text for text in found), "it says what to write"


def test_whoever_runs_exporters_says_who_reads_them() -> None:
    for exporter, readers, refused in ((True, [], True), (False, [], False), (True, ["watch"], False)):
        given = Monitoring.model_validate({"exporter": exporter, "allowFromNamespaces": readers})
        assert bool(list(rules.metrics_have_a_reader(given))) == refused


def test_every_rule_takes_settings_by_their_names() -> None:
    settings = settings_of(
        kubeContext="kind", access={"allowFromPods": ["web/app=shop"]}, tls={"mode": "required"}, images=PINNED
    )
    assert list(rules.contradictions({name: getattr(settings, name) for name in type(settings).model_fields})) == []
