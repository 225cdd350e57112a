"""Which secrets the component's resources have, and which pod is given what of them."""

import json

import pytest

from components.manifests import names
from components.manifests.users import (
    CREDENTIALS_KEY,
    FALLBACK_KEY,
    MASTER_LINKS_KEY,
    METRICS_KEY,
    OPERATOR_KEY,
    PASSWORD_KEY,
    USERS_CONF_KEY,
)
from preview.evaluate import Evaluation
from tests.resources.stacks import only, stack


def test_no_password_stands_in_an_argument_or_in_a_plain_input(prod: Evaluation) -> None:
    secret = only(prod, ":Secret", "-auth")
    values = secret.inputs["stringData"]
    passwords = [values[key] for key in (PASSWORD_KEY, OPERATOR_KEY)]
    passwords += set(json.loads(values[METRICS_KEY]).values())
    passwords.append(values[USERS_CONF_KEY].split()[-1].strip('"'))
    assert len(set(passwords)) == 4
    assert min(map(len, passwords)) >= 40

    assert secret.secrets == {"stringData"}
    for resource in prod.resources:
        shown = {key: value for key, value in resource.inputs.items() if key not in resource.secrets}
        assert not [password for password in passwords if password in str(shown)], resource.name


@pytest.mark.parametrize("access", [{}, {"access__alsoAccepted": "battery-staple-horse"}], ids=str)
def test_no_pod_is_given_more_of_the_secret_than_it_uses(access: dict[str, str]) -> None:
    """An application's password is in none of them: Redis knows it by its digest."""
    evaluation = stack("prod", monitoring__exporter="true", **access)
    change = {FALLBACK_KEY, MASTER_LINKS_KEY} if access else set()
    for item in evaluation.resources:
        spec = item.inputs.get("spec", {})
        pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec")
        if pod is None:
            continue
        by_file = {
            part["key"]
            for volume in pod["volumes"]
            if "secret" in volume and volume["secret"]["secretName"] not in (names.TLS_OBJECT, names.OWN_TLS_OBJECT)
            for part in volume["secret"]["items"]
        }
        by_container = {
            container["name"]: {
                variable["valueFrom"]["secretKeyRef"]["key"]
                for variable in container["env"]
                if "secretKeyRef" in variable.get("valueFrom", {})
            }
            for container in pod["containers"]
        }
        if item.kind == "StatefulSet":
            mounted = {
                container["name"]: {mount["name"] for mount in container["volumeMounts"]}
                for container in pod["containers"]
            }
            assert "exporter-password" in mounted["exporter"] - mounted["redis"]
            assert "users" in mounted["redis"] - mounted["exporter"]
            assert by_file == {USERS_CONF_KEY, METRICS_KEY} | change - {FALLBACK_KEY}
            assert by_container == {"redis": {OPERATOR_KEY} | change - {MASTER_LINKS_KEY}, "exporter": set()}
        else:
            assert by_container == {"reconciler": set()}
            assert by_file == (set() if "rollout" in item.name else {CREDENTIALS_KEY})


def test_a_given_password_is_used_and_stays_a_secret() -> None:
    given_one = stack("prod", access__password="correct-horse-battery")

    secret = only(given_one, ":Secret", "-auth")
    assert secret.inputs["stringData"][PASSWORD_KEY] == "correct-horse-battery"
    assert secret.secrets == {"stringData"}
