"""`make up`: the rendered stack `local`, run for real, is a formed cluster that serves images."""

import os
import re
import shlex
from collections.abc import Iterator

import pytest

from components.manifests import names
from preview.evaluate import evaluate
from sandbox.control.client import Sandbox
from sandbox.control.redis_facts import redis_facts
from sandbox.control.up import up
from tests.repository.written import INSIDE, beginning_with, commands_of
from tests.stack.secrets_found import Search, in_logs, passwords

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Sandbox, list[str], Search]]:
    said: list[str] = []
    with Sandbox(f"up-{os.getpid()}", die_with_parent=True) as sandbox:
        with Search(sandbox, passwords(evaluate("local", {}))) as search:
            assert up(sandbox, "local", [], said.append) == 0
            sandbox.trigger(names.REPAIR, wait=True)
        yield sandbox, said, search


@pytest.fixture(scope="module")
def running(started: tuple[Sandbox, list[str], Search]) -> tuple[Sandbox, list[str]]:
    return started[:2]


def test_every_shard_has_its_own_replica_and_all_slots_are_served(running: tuple[Sandbox, list[str]]) -> None:
    sandbox, _ = running
    facts = redis_facts(sandbox, sandbox.status())

    assert len(facts) == 6
    assert sum(fact["slots"] for fact in facts.values()) == 16384
    for shard in range(3):
        master, replica = (facts[f"redis-256mb/redis-{role}-{shard}"] for role in ("master", "replica"))
        assert (master["role"], replica["role"], replica["linkUp"]) == ("master", "replica", True)
        assert replica["masterId"] == master["nodeId"]


def test_both_copies_of_a_shard_are_in_different_zones_where_there_is_a_choice(
    running: tuple[Sandbox, list[str]],
) -> None:
    pods = running[0].pods()

    for shard in range(3):
        assert pods[f"redis-master-{shard}"]["zone"] != pods[f"redis-replica-{shard}"]["zone"]


def test_what_it_says_shows_progress_the_check_and_how_to_go_on(running: tuple[Sandbox, list[str]]) -> None:
    text = "\n".join(running[1])

    for fragment in (
        "waiting for Job images-redis-256mb-rollout-redis-master",
        "images of 1 MB written and read",
        "make status",
        "make down",
    ):
        assert fragment in text


def test_up_again_changes_nothing_and_restarts_nobody(running: tuple[Sandbox, list[str]]) -> None:
    sandbox, _ = running

    def redis_pods() -> dict[str, tuple[str, int]]:
        # The pods of a repair come and go by themselves.
        pods = sandbox.pods().items()
        return {name: (pod["ip"], pod["restarts"]) for name, pod in pods if pod["owner"]["kind"] == "StatefulSet"}

    before = redis_pods()
    said: list[str] = []

    assert up(sandbox, "local", [], said.append) == 0

    assert any("no changes" in line for line in said)
    assert len(before) == 6
    assert redis_pods() == before


IN_ENVIRONMENTS = {
    # redis-cli takes a password from this variable, from its arguments or from a terminal. Probes, start and stop
    # scripts and people run it.
    ("redis", "REDISCLI_AUTH", "operator"),
}


def test_no_password_is_in_an_argument_or_a_log_and_none_in_an_environment_but_where_it_must(
    started: tuple[Sandbox, list[str], Search],
) -> None:
    sandbox, _, search = started
    assert {"redis", "form", "rollout", "repair"} <= set(search.seen)
    assert search.in_arguments == set()
    assert search.in_environments == IN_ENVIRONMENTS
    assert in_logs(sandbox, passwords(evaluate("local", {}))) == set()


def test_the_search_finds_what_is_there(running: tuple[Sandbox, list[str]]) -> None:
    sandbox, secrets = running[0], passwords(evaluate("local", {}))
    with Search(sandbox, secrets) as search:
        script = ["sh", "-c", "OTHER=$0 sleep 2", secrets["app"]]
        sandbox.exec("redis-master-0", script, namespace="redis-256mb").check()
    assert search.in_arguments == {("redis", "app")}
    assert search.in_environments == IN_ENVIRONMENTS | {("redis", "OTHER", "app")}
    assert in_logs(sandbox, {"a line of every Redis": "Ready to accept connections"}) == {
        ("redis", "a line of every Redis")
    }


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["redis-cli", "INFO", "memory"], "maxmemory:268435456"),
        (["redis-cli", "INFO", "stats"], "keyspace_hits"),
        (["redis-cli", "cluster", "info"], "cluster_state:ok"),
        (["redis-cli", "cluster", "nodes"], "redis-replica-2.redis-replica.redis-256mb.svc.cluster.local"),
        (["redis-cli", "INFO", "keyspace"], "# Keyspace"),
    ],
)
def test_the_sizing_document_s_monitoring_commands_work_as_written(
    running: tuple[Sandbox, list[str]], command: list[str], expected: str
) -> None:
    assert expected in running[0].exec("redis-master-0", command).check().stdout


@pytest.mark.parametrize("line", INSIDE)
def test_a_command_that_the_documents_run_in_a_pod_does_what_it_says(
    running: tuple[Sandbox, list[str]], line: str
) -> None:
    pod = re.search(r" exec (\S+) ", line)
    assert pod is not None
    done = running[0].exec(pod[1], ["sh", "-c", line.partition(" -- ")[2]])

    assert done.exit == 0, done.stderr
    assert done.stdout.strip()
    assert "ERR" not in done.stdout
    assert not re.search(r"Segmentation fault|not found|invalid option", done.stderr), done.stderr


@pytest.mark.parametrize("line", beginning_with("python -m sandbox run -n default -- busybox nc"))
def test_a_probe_of_the_documents_reaches_redis_and_never_the_bus(
    running: tuple[Sandbox, list[str]], line: str
) -> None:
    """Stack `local` names no clients, so every pod may ask Redis."""
    port = int(line.removesuffix(" < /dev/null").split()[-1])
    assert port in (names.REDIS_PORT, names.BUS_PORT)
    done = running[0].run(["sh", "-c", line.partition(" -- ")[2]], timeout_s=30)
    assert (done.exit == 0) == (port == names.REDIS_PORT), done.stderr
    assert done.exit == 0 or "timed out" in done.stderr


def test_redis_has_every_command_that_the_documents_give_to_redis_cli(running: tuple[Sandbox, list[str]]) -> None:
    tools, words = set(), []
    for line in commands_of("redis-cli"):
        options, command = [], []
        for word in shlex.split(line)[1:]:
            (options if word.startswith("-") else command).append(word)
        # `--cluster` and what stands without a command are tools of redis-cli's own.
        if "--cluster" in options or not command:
            tools |= set(options)
        else:
            words.append(command)
    helped = running[0].exec("redis-master-0", ["sh", "-c", "redis-cli --help 2>&1"]).stdout
    assert {tool for tool in tools if tool not in helped} == set()
    assert len(tools) > 1
    assert len(words) > 3
    for command in words:
        listed = running[0].exec(
            "redis-master-0", ["redis-cli", "COMMAND", "LIST", "FILTERBY", "PATTERN", f"{command[0]}*"]
        )
        known = listed.check().stdout.lower().split()
        assert command[0].lower() in known, command
        has_subcommands = any("|" in name for name in known)
        assert not has_subcommands or "|".join(command[:2]).lower() in known, command


def test_the_form_job_ran_in_the_image_and_from_the_zips_it_was_rendered_with(
    running: tuple[Sandbox, list[str]],
) -> None:
    sandbox, _ = running
    (name,) = (name for name in sandbox.pods() if "-form-" in name)

    assert sandbox.pods()[name]["image"].startswith("python:")
    assert "3 masters, 3 replicas, 16384 slots" in sandbox.logs(name)


def test_a_repair_of_the_healthy_cluster_finds_nothing_to_do(running: tuple[Sandbox, list[str]]) -> None:
    result = running[0].trigger("redis-repair", wait=True)

    assert result["condition"] == "Complete"
    assert "0 actions" in result["log"]


def test_no_user_was_refused_a_command(running: tuple[Sandbox, list[str]]) -> None:
    """Not the Jobs, the scripts, the client that wrote images, nor the commands of the documents."""
    sandbox, _ = running
    for pod in (name for name, pod in sandbox.pods().items() if pod["owner"]["kind"] == "StatefulSet"):
        assert sandbox.exec(pod, ["redis-cli", "ACL", "LOG"]).check().stdout.strip() == ""
