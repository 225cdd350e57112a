"""The applications of `examples/` have the settings that docs/clients.md recommends, and a Deployment that Kubernetes
takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.manifests import names
from tests.clients.drivers import HERE, _found
from tests.examples.programs import EXAMPLES, PROGRAMS, Program
from tests.resources.stacks import of_type, stack

OWN = {
    "redis-py": {'username="app"', "password=password", "return RedisCluster("},
    "go-redis": {"Addrs: []string{addr}", 'Username: "app"', "Password: password"},
    "lettuce": {
        'RedisURI.builder().withHost(host).withPort(port).withAuthentication("app", password.toCharArray())',
        "client.setOptions(ClusterClientOptions.builder()",
        ".build());",
    },
    "ioredis": {'username: "app"', "password"},
}
"""What an application has in another way: user and password come from outside, TLS is a condition, and the client of
redis-py is one that reads from the nearest copy."""
STRUCTURE = re.compile(r"^(import|from|def|class|func|type|package|function|static <T>|static Redis\w+)\b")


def lines(code: str) -> set[str]:
    """What a program says, without comments, indentation and commas at the ends of lines."""
    stripped = (
        re.split(r"(^|\s)(#|//|/\*\*)", line)[0].strip().rstrip(",").removeprefix("export ")
        for line in code.splitlines()
    )
    return {re.sub(r"\s+", " ", line) for line in stripped if re.search(r"\w", line)}


def missing(program: Program, code: str) -> set[str]:
    wanted = {line for line in lines(program.client.code) if not STRUCTURE.match(line)}
    return wanted - lines(code) - OWN[program.name]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_an_application_has_every_recommended_setting(program: Program) -> None:
    assert missing(program, program.settings.read_text()) == set()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_another_value_of_any_recommended_setting_would_be_noticed(program: Program) -> None:
    code = program.settings.read_text()
    settings = [line for line in lines(program.client.code) if re.search(r"\d", line) and not STRUCTURE.match(line)]
    assert len(settings) >= 3
    for line in settings:
        changed = re.sub(r"\d+", "77", line)
        assert missing(program, re.sub(re.sub(r"\\? +", r"\\s+", re.escape(line)), changed, code)) == {line}


def test_an_application_has_the_version_of_its_client_that_was_tried() -> None:
    pinned = (EXAMPLES / "redis-py/requirements.txt").read_text().split()
    assert next(line for line in Path("requirements.txt").read_text().split() if line.startswith("redis==")) in pinned
    node = json.loads((EXAMPLES / "ioredis/package.json").read_text())["dependencies"]
    assert node["ioredis"] == json.loads((HERE / "node/package.json").read_text())["dependencies"]["ioredis"]
    go = r"go-redis/v9 v([0-9.]+)"
    assert re.search(go, (EXAMPLES / "go-redis/go.mod").read_text())[1] == _found("go/go.mod", go)
    lettuce = r"lettuce-core</artifactId>\s*<version>(\d+(?:\.\d+)*)"
    assert re.search(lettuce, (EXAMPLES / "lettuce/pom.xml").read_text())[1] == _found("java/pom.xml", lettuce)


def test_python_s_requirements_are_those_the_tests_run_with() -> None:
    installed = {*Path("requirements.txt").read_text().split(), *Path("tests/requirements.txt").read_text().split()}
    assert set((EXAMPLES / "redis-py/requirements.txt").read_text().split()) <= installed


DEPLOYMENT = yaml.safe_load((EXAMPLES / "deployment.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
MOUNTED = "/etc/redis-cache"
"""Where the programs look for files that no variable names."""


def delivered(**config: str) -> dict[str, str]:
    """What the stack gives the Deployment's namespace, in the one Secret that the Deployment reads."""
    (found,) = [
        item.inputs
        for item in of_type(stack("prod", access__deliverTo='["images"]', **config), ":Secret").values()
        if item.inputs["metadata"]["namespace"] == DEPLOYMENT["metadata"]["namespace"]
    ]
    read = [item["valueFrom"]["secretKeyRef"] for item in POD["containers"][0]["env"] if "valueFrom" in item]
    assert {item["name"] for item in (*read, *(source["secret"] for source in sources()))} == {
        found["metadata"]["name"]
    }
    return dict(found["stringData"])


def sources() -> list[dict[str, Any]]:
    (volume,) = POD["volumes"]
    return list(volume["projected"]["sources"])


def environment(secret: dict[str, str]) -> dict[str, str]:
    """As Kubernetes makes it: of the Secret's keys, and of variables that stand before."""
    made: dict[str, str] = {}
    for item in POD["containers"][0]["env"]:
        key = item.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
        text = item["value"] if key is None else secret[key]
        made[item["name"]] = re.sub(r"\$\((\w+)\)", lambda name: made[name[1]], text)
    return made


def files(secret: dict[str, str]) -> dict[str, str]:
    """Path in the pod -> the key that is there."""
    return {
        f"{MOUNTED}/{item['path']}": item["key"]
        for source in sources()
        for item in source["secret"]["items"]
        if item["key"] in secret or not source["secret"].get("optional")
    }


def test_the_deployment_is_one_and_mounts_the_secret_where_the_programs_read_it() -> None:
    kubernetes_validate.validate(DEPLOYMENT, "1.34", strict=True)
    (mount,) = POD["containers"][0]["volumeMounts"]
    (volume,) = POD["volumes"]
    assert (volume["name"], mount["mountPath"]) == (mount["name"], MOUNTED)
    for program in PROGRAMS:
        assert f"{MOUNTED}/password" in program.settings.read_text()
    assert files(delivered())[f"{MOUNTED}/password"] == "password"


@pytest.mark.parametrize(
    ("mode", "port", "has_tls"), [("required", 6380, True), ("both", 6379, False), ("plain", 6379, False)]
)
def test_the_deployment_connects_by_what_the_stack_delivers_in_every_mode(mode: str, port: int, has_tls: bool) -> None:
    why = {"tls__plainBecause": "a test of the example"} if mode == "plain" else {}
    secret = delivered(tls__mode=mode, **why)
    told = environment(secret)
    host = names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, "cluster.local")
    assert told["REDIS_ENDPOINT"] == f"{host}:{port}"
    assert told["REDIS_USER"] == secret["username"]
    assert set(files(secret).values()) <= set(secret)
    # The programs speak TLS where the file is.
    assert files(secret).get(told["REDIS_CA_FILE"]) == ("ca.crt" if has_tls else None)


def test_the_pods_of_the_deployment_may_reach_the_cache() -> None:
    config = yaml.safe_load(Path("Pulumi.prod.yaml").read_text())["config"]
    assert DEPLOYMENT["metadata"]["namespace"] in config["redis-image-cache:access"]["allowFromNamespaces"]
