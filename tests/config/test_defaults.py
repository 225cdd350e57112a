"""A stack's config, or a program, says only what it wants otherwise than the defaults."""

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.config.load import fields_of, load_settings, settings_of
from components.config.reference import declarations
from components.config.settings import Settings
from components.config.units import GIB, TIB
from tests.plan.stacks import PRODUCTION

CLUSTER = {"kubeContext": "kind", **{key: json.dumps(value) for key, value in PRODUCTION.items()}}


def declared() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    return content


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_the_project_file_declares_every_key_with_the_type_default_and_description_of_the_settings() -> None:
    assert declared() == declarations()
    assert list(declared()) == list(fields_of(Settings))


def test_without_any_key_but_the_cluster_the_settings_are_those_of_the_project_file() -> None:
    written = {key: as_text(declaration["default"]) for key, declaration in declared().items()} | CLUSTER

    assert load_settings(CLUSTER) == load_settings(written) == settings_of(kubeContext="kind", **PRODUCTION)


@given(st.sets(st.sampled_from(sorted(set(fields_of(Settings)) - set(CLUSTER)))))
def test_a_key_that_is_left_out_has_the_value_of_its_default(left_out: set[str]) -> None:
    written = {key: as_text(declaration["default"]) for key, declaration in declared().items()} | CLUSTER
    some = {key: text for key, text in written.items() if key not in left_out}

    assert load_settings(some) == load_settings(written)


def test_the_defaults_are_the_documents_first_option() -> None:
    found = settings_of(kubeContext="kind", **PRODUCTION)

    assert (found.pod_memory, found.total_memory, found.copies_per_shard) == (64 * GIB, TIB, 2)
    workload = found.workload
    assert (workload.requests_per_second, workload.object_bytes, workload.ttl_seconds) == (8000, 1_000_000, 300)
    assert (workload.hit_rate, workload.p95_latency_ms) == (0.8, 500)
    assert found.nodes.production
    assert found.eks is None


def test_settings_from_python_values_are_those_of_the_same_stack_file() -> None:
    eks = {"clusterName": "c", "subnets": {f"eu-west-1{letter}": f"subnet-{letter}" for letter in "abc"}}
    values = {
        "podMemory": "128GB",
        "replicasPerMaster": 2,
        "eks": eks,
        "workload": {"hitRate": 0.9},
        **PRODUCTION,
    }

    assert settings_of(**values) == load_settings({key: as_text(value) for key, value in values.items()})
    assert settings_of(**values).zones == ("eu-west-1a", "eu-west-1b", "eu-west-1c")


def test_the_own_namespace_of_the_keys_is_the_projects_name() -> None:
    from components.config.load import NAMESPACE

    assert yaml.safe_load(Path("Pulumi.yaml").read_text())["name"] == NAMESPACE
