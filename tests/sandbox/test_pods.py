"""One pod's life, with real processes."""

from __future__ import annotations

import json
import time

import pytest

from sandbox.control.cli import main
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError, NotFoundError
from sandbox.kubernetes.nodes import pretend_nodes
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import SLEEP, claim_template, container, job, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox


def output_of(sandbox: Sandbox, name: str) -> str:
    pod = next(entry for entry in sandbox.pods() if entry.startswith(f"{name}-"))
    return sandbox.logs(pod)


def test_a_container_sees_its_environment_as_kubernetes_computes_it(sandbox: Sandbox) -> None:
    variables = [
        {"name": "PLAIN", "value": "a"},
        {"name": "JOINED", "value": "$(PLAIN)-$(LATER)-$$(PLAIN)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "ZONE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['topology.kubernetes.io/zone']"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "LATER", "value": "z"},
    ]
    secret = resource("Secret", "keys", stringData={"password": "p w"})
    sandbox.apply([secret, stateful_set("env", pod_spec(container(SLEEP, env=variables)))])
    pod = sandbox.pods()["env-0"]
    lines = dict(line.split("=", 1) for line in sandbox.exec("env-0", ["env"]).check().stdout.splitlines())
    assert lines["JOINED"] == "a-$(LATER)-$(PLAIN)"
    assert (lines["POD"], lines["IP"], lines["SPACE"]) == ("env-0", pod["ip"], "default")
    assert (lines["NODE"], lines["SECRET"]) == (pod["node"], "p w")
    assert lines["HOSTNAME"] == "env-0"
    assert lines["ZONE"] == {node.name: node.zone for node in pretend_nodes()}[pod["node"]]


def test_a_container_runs_as_its_user_without_rights_on_a_read_only_root(sandbox: Sandbox) -> None:
    security = {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    spec = pod_spec(
        container(
            SLEEP,
            securityContext=security,
            volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}, {"name": "d", "mountPath": "/d"}],
        ),
        securityContext={"runAsUser": 1234, "runAsGroup": 1235, "fsGroup": 1236, "runAsNonRoot": True},
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    sandbox.apply([stateful_set("user", spec, volumeClaimTemplates=[claim_template("d", "1Mi")])])
    script = (
        "id -u; id -g; id -G; touch /scratch/x /d/y && stat -c %g /scratch/x /d/y; touch /bin/x; "
        "grep CapEff /proc/self/status"
    )
    done = sandbox.exec("user-0", ["sh", "-c", script])
    assert done.stdout.split() == ["1234", "1235", "1235", "1236", "1236", "1236", "CapEff:", "0000000000000000"]
    assert "Read-only file system" in done.stderr


def test_process_1_is_the_containers_own_and_sees_nobody_else(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("alone", pod_spec(container("exec sleep 1000")))])
    processes = sandbox.exec("alone-0", ["sh", "-c", "cat /proc/1/cmdline; ls -d /proc/[0-9]*"]).stdout
    assert processes.startswith("sleep\x001000\x00")
    # Process 1 and the ls that looks (the shell became it).
    assert processes.count("/proc/") == 2


def test_exec_passes_on_input_output_and_exit_status(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("exec", pod_spec(container(f"cd /run; {SLEEP}")))])
    done = sandbox.exec("exec-0", ["sh", "-c", "pwd; cat; echo problem >&2; exit 7"], stdin=b"given")
    assert (done.exit, done.stdout, done.stderr) == (7, "/\ngiven", "problem\n")
    assert sandbox.exec("exec-0", ["no-such-program"]).exit == 127


def test_an_exec_that_outlives_its_caller_is_ended(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("linger", pod_spec(container(SLEEP)))])
    with pytest.raises(TimeoutError):
        sandbox.exec("linger-0", ["sleep", "987"], timeout_s=0.3)
    eventually(
        lambda: "987" not in sandbox.exec("linger-0", ["ps"]).stdout, 3, "the abandoned command is gone from the pod"
    )


def test_config_maps_and_secrets_are_files_with_the_kubelets_modes(sandbox: Sandbox) -> None:
    config = resource("ConfigMap", "conf", data={"a.sh": "echo hi", "b": "2"}, binaryData={"blob": "AAEC"})
    secret = resource("Secret", "keys", stringData={"password": "pass"})
    volumes = [
        {"name": "conf", "configMap": {"name": "conf", "defaultMode": 0o555}},
        {"name": "one", "configMap": {"name": "conf", "items": [{"key": "b", "path": "deep/er"}]}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/etc/x/{volume['name']}"} for volume in volumes]
    spec = pod_spec(
        container(SLEEP, volumeMounts=mounts), volumes=volumes, securityContext={"runAsUser": 1000, "fsGroup": 2000}
    )
    sandbox.apply([config, secret, stateful_set("files", spec)])
    script = (
        "cd /etc/x; conf/a.sh || sh conf/a.sh; od -An -tx1 conf/blob; cat one/deep/er; echo; cat keys/password; echo; "
        "ls one; stat -L -c '%a %g' conf/a.sh keys/password; touch conf/new"
    )
    done = sandbox.exec("files-0", ["sh", "-c", script])
    assert done.stdout.split("\n")[-8:] == [
        "hi",
        " 00 01 02",
        "2",
        "pass",
        "deep",
        "555 2000",
        "440 2000",
        "",
    ]
    assert "Read-only file system" in done.stderr


def test_the_files_of_a_changed_config_map_change_in_running_pods(sandbox: Sandbox) -> None:
    spec = pod_spec(
        container(SLEEP, volumeMounts=[{"name": "conf", "mountPath": "/conf"}]),
        volumes=[{"name": "conf", "configMap": {"name": "conf"}}],
    )
    pods = stateful_set("conf", spec)
    sandbox.apply([resource("ConfigMap", "conf", data={"a": "1", "gone": "x"}), pods])
    sandbox.apply([resource("ConfigMap", "conf", data={"a": "2", "b": "3"}), pods])
    done = sandbox.exec("conf-0", ["sh", "-c", "cd /conf; ls; cat a"])
    assert done.stdout.split() == ["a", "b", "2"]
    assert sandbox.pods()["conf-0"]["restarts"] == 0


def test_a_claim_holds_its_size_and_not_a_byte_more(sandbox: Sandbox) -> None:
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "data", "mountPath": "/data"}]))
    sandbox.apply([stateful_set("disk", spec, volumeClaimTemplates=[claim_template("data", "1Mi")])])
    done = sandbox.exec("disk-0", ["sh", "-c", "dd if=/dev/zero of=/data/x bs=64k count=32; stat -c %s /data/x"])
    assert "No space left on device" in done.stderr
    assert int(done.stdout) == 1024**2


def test_a_failed_container_restarts_at_once_and_then_backs_off_with_the_same_ip(sandbox: Sandbox) -> None:
    spec = pod_spec(container("echo run; sleep 0.1; exit 3"))
    sandbox.apply([stateful_set("crash", spec, annotations={"pulumi.com/skipAwait": "true"})])
    eventually(lambda: sandbox.pods()["crash-0"]["state"] == "CrashLoopBackOff", 5, "the second crash backs off")
    pod = sandbox.pods()["crash-0"]
    assert pod["restarts"] == 1
    assert pod["lastTermination"] == {"exitCode": 3, "reason": "Error"}
    assert sandbox.logs("crash-0", previous=True) == "run\n"
    backoffs = [
        message for _, subject, reason, message in sandbox.events() if reason == "BackOff" and "crash" in subject
    ]
    assert backoffs == ["back-off 10s restarting failed container main"]


def test_a_killed_process_comes_back_in_place_with_its_volumes(sandbox: Sandbox) -> None:
    spec = pod_spec(
        container(f"date >> /s/starts; {SLEEP}", volumeMounts=[{"name": "s", "mountPath": "/s"}]),
        volumes=[{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
    )
    sandbox.apply([stateful_set("again", spec)])

    def starts() -> int:
        return len(sandbox.exec("again-0", ["cat", "/s/starts"]).stdout.splitlines())

    eventually(lambda: starts() == 1, 3, "it wrote")
    before = sandbox.pods()["again-0"]
    assert "SIGKILL" in sandbox.fault("kill-process", pod="again-0")
    eventually(lambda: sandbox.pods()["again-0"]["restarts"] == 1, 3, "restarted")
    eventually(lambda: sandbox.pods()["again-0"]["ready"], 3, "ready again")
    after = sandbox.pods()["again-0"]
    assert after["ip"] == before["ip"]
    assert after["lastTermination"] == {"exitCode": 137, "reason": "Error"}
    eventually(lambda: starts() == 2, 3, "it wrote beside its past")


def test_a_container_over_its_memory_limit_is_oom_killed(sandbox: Sandbox) -> None:
    # The child holds the memory: the whole container counts, not its first process.
    script = "echo start; dd if=/dev/zero of=/dev/null bs=60000000; echo over"
    spec = pod_spec(container(script, resources={"limits": {"memory": "30Mi"}}))
    sandbox.apply([stateful_set("greedy", spec, annotations={"pulumi.com/skipAwait": "true"})])
    eventually(
        lambda: (sandbox.pods()["greedy-0"]["lastTermination"] or {}).get("reason") == "OOMKilled", 10, "it is killed"
    )


def test_readiness_follows_the_probe_both_ways_and_needs_its_thresholds(sandbox: Sandbox) -> None:
    probe = {"exec": {"command": ["test", "-e", "/run/ready"]}, "periodSeconds": 1, "failureThreshold": 2}
    spec = pod_spec(container(SLEEP, readinessProbe=probe))
    sandbox.apply([stateful_set("ready", spec, annotations={"pulumi.com/skipAwait": "true"})])
    eventually(lambda: sandbox.pods()["ready-0"]["state"] == "Running", 5, "running")
    assert not sandbox.pods()["ready-0"]["ready"]
    sandbox.exec("ready-0", ["touch", "/run/ready"]).check()
    eventually(lambda: sandbox.pods()["ready-0"]["ready"], 3, "ready once the probe passes")
    removed = time.monotonic()
    sandbox.exec("ready-0", ["rm", "/run/ready"]).check()
    eventually(lambda: not sandbox.pods()["ready-0"]["ready"], 5, "unready once it fails twice")
    # Two failures are a period apart, so one alone cannot have been enough.
    assert time.monotonic() - removed >= 1
    assert sandbox.pods()["ready-0"]["restarts"] == 0


def test_a_failing_liveness_probe_restarts_the_container_after_its_startup_probe_passed(sandbox: Sandbox) -> None:
    spec = pod_spec(
        container(
            f"rm -f /run/*; (sleep 1; touch /run/started) & {SLEEP}",
            startupProbe={
                "exec": {"command": ["test", "-e", "/run/started"]},
                "periodSeconds": 1,
                "failureThreshold": 9,
            },
            livenessProbe={
                "exec": {"command": ["test", "!", "-e", "/run/sick"]},
                "periodSeconds": 1,
                "failureThreshold": 1,
            },
        )
    )
    sandbox.apply([stateful_set("live", spec)])
    assert sandbox.pods()["live-0"]["restarts"] == 0
    sandbox.exec("live-0", ["touch", "/run/sick"]).check()
    eventually(lambda: sandbox.pods()["live-0"]["restarts"] == 1, 5, "restarted")
    reasons = [reason for _, subject, reason, _ in sandbox.events() if subject == "Pod default/live-0"]
    assert "Killing" in reasons


def test_a_probe_that_hangs_fails_by_its_timeout_and_leaves_no_process(sandbox: Sandbox) -> None:
    probe = {"exec": {"command": ["sleep", "55"]}, "periodSeconds": 1, "timeoutSeconds": 1}
    spec = pod_spec(container(SLEEP, readinessProbe=probe))
    sandbox.apply([stateful_set("hang", spec, annotations={"pulumi.com/skipAwait": "true"})])
    eventually(
        lambda: any("timed out after 1 s" in message for *_, message in sandbox.events()), 6, "the timeout is reported"
    )
    assert sandbox.exec("hang-0", ["ps"]).stdout.count("sleep 55") <= 1


def test_termination_runs_prestop_then_sigterm_and_both_are_seen(sandbox: Sandbox) -> None:
    mount = [{"name": "d", "mountPath": "/d"}]
    script = "trap 'echo term >> /d/log; exit 0' TERM; while :; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo hook >> /d/log"]}}}
    spec = pod_spec(container(script, lifecycle=hook, volumeMounts=mount), terminationGracePeriodSeconds=10)
    sandbox.apply([stateful_set("stop", spec, volumeClaimTemplates=[claim_template("d", "1Mi")])])
    ip = sandbox.pods()["stop-0"]["ip"]
    sandbox.fault("kill-pod", pod="stop-0")
    eventually(
        lambda: (pod := sandbox.pods().get("stop-0")) is not None and pod["ready"] and pod["ip"] != ip, 8, "a new pod"
    )
    assert sandbox.exec("stop-0", ["cat", "/d/log"]).stdout.split() == ["hook", "term"]


def test_a_program_that_ignores_sigterm_is_killed_when_the_grace_period_ends(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("deaf", pod_spec(container("trap '' TERM; while :; do sleep 0.1; done")))])
    began = time.monotonic()
    sandbox.apply([])
    # The grace period is 1 s; the kubelet grants at least 2 s after SIGTERM.
    assert 1 <= time.monotonic() - began < 8


def test_a_missing_secret_is_waited_for(sandbox: Sandbox) -> None:
    key = {"secretKeyRef": {"name": "late", "key": "key"}}
    spec = pod_spec(container(SLEEP, env=[{"name": "KEY", "valueFrom": key}]))
    pods = stateful_set("waits", spec, annotations={"pulumi.com/skipAwait": "true"})
    sandbox.apply([pods])
    eventually(lambda: sandbox.pods()["waits-0"]["state"] == "CreateContainerConfigError", 5, "the reason is shown")
    sandbox.apply([pods, resource("Secret", "late", stringData={"key": "value"})])
    eventually(lambda: sandbox.pods()["waits-0"]["ready"], 5, "it starts once the Secret exists")
    assert sandbox.exec("waits-0", ["sh", "-c", "echo $KEY"]).stdout == "value\n"


def test_the_python_image_has_the_standard_library_and_nothing_of_this_project(sandbox: Sandbox) -> None:
    program = (
        "import ssl, sqlite3, json, sys, importlib.util as u;"
        "print(json.dumps([sys.prefix, *[u.find_spec(n) is None for n in ('pulumi', 'redis', 'pip')]]))"
    )
    main = {"name": "main", "image": "docker.io/library/python:3.13-alpine", "command": ["python3", "-c", program]}
    sandbox.apply([job("python", pod_spec(main))])
    assert json.loads(output_of(sandbox, "python")) == ["/usr/local", True, True, True]


def test_run_as_non_root_refuses_an_image_that_runs_as_root(sandbox: Sandbox) -> None:
    spec = pod_spec(container(SLEEP), securityContext={"runAsNonRoot": True})
    with pytest.raises(ApplyError, match="runAsNonRoot"):
        sandbox.apply([stateful_set("root", spec, annotations={"pulumi.com/timeoutSeconds": "1"})])


def test_an_unknown_pod_is_an_error_that_lists_the_pods(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("here", pod_spec(container(SLEEP)))])
    with pytest.raises(NotFoundError, match="there is no pod 'gone-0'; pods: here-0"):
        sandbox.exec("gone-0", ["true"])


def test_a_pod_that_two_namespaces_have_is_named_with_both_and_found_with_one(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = [resource("Namespace", name, metadata={"name": name}) for name in ("redis-64mb", "redis-128mb")]
    pods = [stateful_set("redis-master", pod_spec(container(SLEEP)), namespace=space.name) for space in spaces]
    sandbox.apply([*spaces, *pods])
    call = ["--name", sandbox.name, "exec", "redis-master-0"]

    assert main([*call, "--", "true"]) == 1

    assert "pod redis-master-0 exists in namespaces redis-128mb, redis-64mb; use -n" in capsys.readouterr().err
    # As kubectl has it: before the pod, or after it.
    assert main([*call, "-n", "redis-64mb", "--", "true"]) == 0
    assert main([*call[:-1], "-n", "redis-64mb", call[-1], "--", "true"]) == 0
    assert main([*call[:-1], "redis-64mb/redis-master-0", "sh", "-c", "exit $#", "--", "-n"]) == 1
