"""The applications of `examples/` have the settings that docs/clients.md recommends, and a Deployment that Kubernetes
takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from components.manifests import names
from tests.clients.drivers import HERE, _found
from tests.examples.programs import EXAMPLES, PROGRAMS, Program

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


def test_the_deployment_is_one_and_mounts_the_secret_where_the_programs_read_it() -> None:
    deployment = yaml.safe_load((EXAMPLES / "deployment.yaml").read_text())
    kubernetes_validate.validate(deployment, "1.34", strict=True)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    assert volume["name"] == mount["name"]
    assert f"secret generic {volume['secret']['secretName']} " in (EXAMPLES / "README.md").read_text()
    for program in PROGRAMS:
        assert f"{mount['mountPath']}/password" in program.settings.read_text()
        assert f"{mount['mountPath']}/ca.crt" in program.settings.read_text()
    environment = {item["name"]: item["value"] for item in container["env"]}
    host = names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, "cluster.local")
    assert environment["REDIS_ENDPOINT"] == f"{host}:{names.REDIS_PORT}"
