"""The Job that puts a load on the cache at the end of an update: off by default, bounded, and after *form*."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from components.manifests.users import PASSWORD_KEY
from loadgen.__main__ import arguments, shares_of, target_of
from preview.resources import Resource
from tests.resources.stacks import stack


def jobs(**config: str) -> dict[str, Resource]:
    evaluation = stack("prod", **config)
    return {
        item.name.removeprefix(f"images-{evaluation.plan.pool}-"): item
        for item in evaluation.resources
        if item.kind == "Job"
    }


def container(job: Resource) -> dict[str, Any]:
    (found,) = job.inputs["spec"]["template"]["spec"]["containers"]
    return dict(found)


def options(**config: str) -> Any:
    """What the load generator understands of its command line."""
    command = container(jobs(validation__enabled="true", **config)["validation"])["command"]
    assert command[:3] == ["python3", "-m", "loadgen"]
    found = arguments().parse_args(command[3:])
    assert target_of(found)
    assert shares_of(found)
    return found


def test_it_is_off_by_default_and_nothing_of_it_is_made() -> None:
    evaluation = stack("prod")
    assert "validation" not in jobs()
    assert [item.name for item in evaluation.resources if "loadgen" in item.name] == []


def test_it_comes_after_form_and_nothing_waits_for_it() -> None:
    evaluation = stack("prod", validation__enabled="true")
    (job,) = [item for item in evaluation.resources if item.kind == "Job" and item.name.endswith("-validation")]
    (form,) = [item for item in evaluation.resources if item.kind == "Job" and item.name.endswith("-form")]
    assert form.urn in job.depends_on
    assert [item.urn for item in evaluation.resources if job.urn in item.depends_on] == []


def test_it_is_a_tenth_of_the_workload_and_holds_the_workload_s_own_goal() -> None:
    found = options()
    assert (found.rate, found.hit_rate, found.sizes, found.p95_ms, found.met) == (800, 0.8, "1000000", 500, True)
    assert found.endpoint == "redis.redis-64gb.svc.cluster.local:6380"


def test_it_takes_the_rate_the_length_and_the_goal_of_the_config() -> None:
    found = options(
        validation__requestsPerSecond="123",
        validation__seconds="45",
        validation__p95LatencyMs="67",
        clusterDomain="k8s.x",
    )
    assert (found.rate, found.duration, found.p95_ms) == (123, 45, 67)
    assert found.endpoint == "redis.redis-64gb.svc.k8s.x:6380"


def test_an_image_smaller_than_the_load_generator_s_smallest_is_no_error() -> None:
    assert options(workload__objectBytes="1").sizes == "64"


@pytest.mark.parametrize("seconds", ["5", "300"])
def test_the_job_ends_by_itself_after_its_load(seconds: str) -> None:
    job = jobs(validation__enabled="true", validation__seconds=seconds)["validation"]
    found = options(validation__seconds=seconds)
    load_seconds = found.fill_seconds + found.warm_up + found.duration
    assert load_seconds < job.inputs["spec"]["activeDeadlineSeconds"] <= load_seconds + 120


def test_what_it_writes_is_a_small_part_of_the_memory_and_soon_gone() -> None:
    evaluation = stack("prod", validation__enabled="true")
    found = options()
    written = found.images + found.rate * (1 - found.hit_rate) * min(found.ttl, found.duration)
    assert written * 1_000_000 < 0.01 * evaluation.plan.sizing.usable_memory_bytes
    assert found.ttl <= 60


def test_it_has_room_for_an_image() -> None:
    config = {"workload__objectBytes": "20000000", "workload__requestsPerSecond": "50"}
    large = container(jobs(validation__enabled="true", **config)["validation"])
    assert large["resources"]["limits"]["memory"] == "276Mi"


@pytest.mark.parametrize("edit", [{"images__redis": "redis:7.2-alpine"}, {"resize__maxMibPerSecond": "100"}], ids=str)
def test_it_runs_anew_after_every_change_of_what_it_validates(edit: dict[str, str]) -> None:
    before = jobs(validation__enabled="true")["validation"].inputs["spec"]["template"]
    after = jobs(validation__enabled="true", **edit)["validation"].inputs["spec"]["template"]
    assert before != after


def test_no_password_stands_in_its_command_or_environment() -> None:
    found = container(jobs(validation__enabled="true")["validation"])
    assert "password" not in shlex.join(found["command"]).lower()
    assert [variable["name"] for variable in found["env"] if "valueFrom" in variable] == []


def test_it_reads_the_password_of_applications_from_a_file_that_its_group_may_read() -> None:
    job = jobs(validation__enabled="true")["validation"]
    pod, variables = job.inputs["spec"]["template"]["spec"], container(job)["env"]
    path = {variable["name"]: variable["value"] for variable in variables}["REDIS_PASSWORD_FILE"]
    folder, _, file = path.rpartition("/")
    (volume,) = [mount["name"] for mount in container(job)["volumeMounts"] if mount["mountPath"] == folder]
    (secret,) = [item["secret"] for item in pod["volumes"] if item["name"] == volume]
    assert (secret["items"], secret["defaultMode"]) == ([{"key": PASSWORD_KEY, "path": file}], 0o440)
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
