"""What the exporter asks, and what travels in a ConfigMap."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from components.config.load import settings_of
from components.manifests import bundle, jobs, names
from components.manifests.containers import USERS_PATH
from components.manifests.manifest import Manifest
from components.manifests.pool import pool_manifests
from components.manifests.users import METRICS, METRICS_KEY
from components.plan.plan import derive_plan
from tests.plan.stacks import PRODUCTION

EVERYWHERE = {"kubeContext": "kind", **PRODUCTION}


def manifest(key: str, **config: Any) -> Manifest:
    stack = settings_of(**config)
    return next(found for found in pool_manifests(stack, derive_plan(stack)) if found.key == key)


def containers(**config: Any) -> dict[str, dict[str, Any]]:
    pod = manifest("redis-master", **config).body["spec"]["template"]["spec"]
    return {container["name"]: container for container in pod["containers"]}


def test_the_exporter_asks_the_redis_of_its_own_pod_with_the_password_of_the_secret() -> None:
    asked = {item["name"]: item for item in containers(**EVERYWHERE, monitoring={"exporter": True})["exporter"]["env"]}
    assert asked["REDIS_ADDR"]["value"] == f"rediss://127.0.0.1:{names.TLS_PORT}"
    assert asked["REDIS_USER"]["value"] == METRICS
    assert asked["REDIS_PASSWORD_FILE"]["value"] == f"{USERS_PATH}/{METRICS_KEY}"
    # It would ask for the password of the link to the master, and be refused.
    assert asked["REDIS_EXPORTER_CONFIG_COMMAND"]["value"] == "-"


@pytest.mark.parametrize(
    ("package", "packed"),
    [("reconciler", {"reconciler"}), ("redis", {"redis", "async_timeout"})],
    ids=["ours", "redis"],
)
def test_a_package_travels_without_the_time_and_place_of_who_packed_it(package: str, packed: set[str]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(bundle.package_zip_base64(package))))
    entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.filename.partition("/")[0] for entry in entries} == packed


# The oldest patch release of 3.11 behaves unlike later ones; 3.11.2 is Debian 12's.
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 11, 2), (3, 13, 0)], ids=str)
def test_the_jobs_programs_are_whole_on_any_python_of_an_image(version: tuple[int, ...], tmp_path: Path) -> None:
    for package in jobs.PACKAGES:
        (tmp_path / f"{package}.zip").write_bytes(base64.b64decode(bundle.package_zip_base64(package)))
    program = (
        "import sys; paths, version = sys.argv[1].split(':'), sys.argv[2]\n"
        "sys.version_info = (*map(int, version.split('.')), 'final', 0)\n"
        "sys.path[:0] = paths\n"
        "import redis.cluster, reconciler.connection, reconciler.loop, reconciler.rollout.api\n"
    )
    paths = ":".join(str(path) for path in sorted(tmp_path.iterdir()))
    # -I and -S: nothing but the standard library beside the zips, as in an official image.
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, paths, ".".join(map(str, version))], check=True, timeout=60
    )


def test_a_package_that_is_not_installed_is_named_with_what_brings_it() -> None:
    with pytest.raises(ValueError, match="nowhere_to_be_found is not installed; `pip install"):
        bundle.sources_digest("nowhere_to_be_found")
