"""An application gets what it needs to connect, and nobody else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from components.config import rules
from components.config.plain_secrets import plain_secrets
from components.config.settings import Access
from preview.command import as_json
from preview.errors import EvaluationError
from preview.evaluate import stack_config
from tests.resize.edits import AUTHORITY
from tests.resources.stacks import of_type, only, stack

PASSWORD = "correct-horse-battery"  # noqa: S105 (of this test)
TOLD = {"access__deliverTo": '["images"]', "access__password": PASSWORD}
POD: dict[str, Any] = yaml.safe_load(Path("examples/client_pod/pod.yaml").read_text())


def secret_of(**config: str) -> Any:
    (found,) = [
        item
        for item in of_type(stack("prod", **TOLD, **config), ":Secret").values()
        if item.inputs["metadata"]["namespace"] == "images"
    ]
    return found


def test_a_namespace_is_given_all_that_a_client_needs_as_a_secret() -> None:
    found = secret_of()
    assert found.inputs["stringData"] == {
        "host": "redis.redis-image-cache.svc.cluster.local",
        "port": "6380",
        "tls": "true",
        "ca.crt": found.inputs["stringData"]["ca.crt"],
        "username": "app",
        "password": PASSWORD,
    }
    assert found.secrets == {"stringData"}


def test_neither_its_name_nor_its_content_follows_the_pool() -> None:
    now, after = secret_of(), secret_of(podMemory="128GB")
    assert (now.urn, now.inputs) == (after.urn, after.inputs)


def test_it_comes_after_the_pods_that_accept_the_password_and_before_clients_are_sent_to_them() -> None:
    evaluation, found = stack("prod", **TOLD), secret_of()
    by_urn = {item.urn: item.name for item in evaluation.resources}
    assert any(by_urn[urn].endswith("-form") for urn in found.depends_on)
    (client,) = [item for item in evaluation.resources if item.name == "images-client"]
    assert found.urn in client.depends_on


def test_the_output_is_a_secret_and_no_form_of_the_plan_shows_it() -> None:
    evaluation = stack("prod", **TOLD)
    assert evaluation.outputs["connection"]["password"] == PASSWORD
    assert evaluation.secret_outputs == {"connection"}
    assert PASSWORD not in json.dumps(as_json(evaluation))
    assert as_json(evaluation)["outputs"]["endpoint"] == evaluation.outputs["endpoint"]  # type: ignore[index]


def test_the_example_mounts_what_is_delivered() -> None:
    (volume,) = POD["spec"]["volumes"]
    found = secret_of()
    assert volume["secret"]["secretName"] == found.inputs["metadata"]["name"]
    assert POD["metadata"]["namespace"] == found.inputs["metadata"]["namespace"]
    script = POD["spec"]["containers"][0]["command"][-1]
    files = set(found.inputs["stringData"])
    assert "--cacert ca.crt" in script
    assert all(f"cat {key})" in script for key in files - {"ca.crt"})


def test_who_is_told_the_password_must_be_let_in() -> None:
    def faults(**keys: Any) -> list[str]:
        return list(rules.who_is_told_is_let_in(Access.model_validate(keys)))

    (fault,) = faults(deliverTo=["web", "shop"], allowFromNamespaces=["shop"])
    assert fault.startswith("access.deliverTo names web: no pod there may connect")
    assert not faults(deliverTo=["web", "shop"], allowFromNamespaces=["shop"], allowFromPods=["web/app=front"])
    assert not faults(deliverTo=["web"])


@pytest.mark.parametrize("key", ["password", "alsoAccepted"])
def test_a_password_that_is_written_as_plain_text_is_refused_and_not_shown(key: str, tmp_path: Path) -> None:
    for given in ({"access": {key: PASSWORD}}, {"access": json.dumps({key: PASSWORD})}):
        (fault,) = plain_secrets(given)
        assert fault.startswith(f"redis-image-cache:access.{key} = [secret]")
        assert f"pulumi config set --path redis-image-cache:access.{key} --secret" in fault
        assert PASSWORD not in fault
    assert plain_secrets({"access": {key: {"secure": "v1:x"}}}) == []
    assert plain_secrets({"access": {"secure": "v1:x"}, "podMemory": "64GB"}) == []

    (tmp_path / "Pulumi.yaml").write_text(Path("Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.odd.yaml").write_text(f"config:\n  redis-image-cache:access: {{{key}: {PASSWORD}}}\n")
    with pytest.raises(EvaluationError, match="stands in the stack file as plain text"):
        stack_config("odd", {}, tmp_path)


def test_what_is_delivered_trusts_the_certificate_of_every_pod_and_of_the_next_pool() -> None:
    for config in ({}, {"podMemory": "128GB"}):
        evaluation = stack("prod", **TOLD, **config)
        found = only(evaluation, ":Secret", "-certificate")
        assert found.secrets == {"stringData"}
        assert found.inputs["metadata"]["name"] == "redis-tls-own", "pods take up another content where the name stays"
        (topology,) = (
            json.loads(item.inputs["data"]["topology.json"])
            for item in evaluation.resources
            if item.kind == "ConfigMap" and "topology.json" in (item.inputs.get("data") or {})
        )
        authority = x509.load_pem_x509_certificate(secret_of().inputs["stringData"]["ca.crt"].encode())
        leaf = x509.load_pem_x509_certificate(found.inputs["stringData"]["tls.crt"].encode())
        names = [*(node["host"] for node in topology["nodes"]), *topology["seeds"]]
        for name in names:
            verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName(name))
            verifier.verify(leaf, [])


def test_the_authority_of_an_issuer_is_delivered_where_the_config_has_it() -> None:
    def told(**config: str) -> Any:
        return secret_of(tls__mode="required", tls__issuer="redis-ca", **config).inputs["stringData"]

    assert "ca.crt" not in told()
    assert told(tls__authority=AUTHORITY)["ca.crt"] == AUTHORITY
    for wrong in ("-----BEGIN CERTIFICATE-----", "a name"):
        with pytest.raises(EvaluationError, match=r"tls\.authority .*a certificate as PEM is needed"):
            told(tls__authority=wrong)
