"""Which server runs for an image, and what is said where it is another version than the image's."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.engines import LINES
from components.config.settings import Images
from sandbox.errors import SandboxError
from sandbox.host import images, servers
from sandbox.host.images import exists, stand_in
from sandbox.host.servers import REDIS, VALKEY, ServerProgram, numbers, server_for, stands_in

PLACES = {REDIS: "redis", VALKEY: "valkey/valkey"}

versions = st.tuples(st.integers(6, 10), st.integers(0, 12), st.integers(0, 20))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (
        ServerProgram(REDIS, (7, 0, 15), "/redis-7"),
        ServerProgram(REDIS, (8, 2, 3), "/redis-8"),
        ServerProgram(VALKEY, (9, 1, 2), "/valkey"),
    )
    monkeypatch.setattr(servers, "servers", lambda: found)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("engine", "tag", "path", "said"),
    [
        (REDIS, "7.0-alpine", "/redis-7", None),
        (REDIS, "7.4-alpine", "/redis-7", "Redis 7.0.15 stands in for redis:7.4-alpine, which cannot be had here"),
        (REDIS, "7", "/redis-7", None),
        (REDIS, "6.2", "/redis-7", "Redis 7.0.15 stands in for redis:6.2, which cannot be had here"),
        (REDIS, "8.2", "/redis-8", None),
        (
            REDIS,
            "8.2.9-bookworm",
            "/redis-8",
            "Redis 8.2.3 stands in for redis:8.2.9-bookworm, which cannot be had here",
        ),
        (REDIS, "8.10", "/redis-8", "Redis 8.2.3 stands in for redis:8.10, which cannot be had here"),
        (VALKEY, "9.1-alpine", "/valkey", None),
        (VALKEY, "8.1", "/valkey", "Valkey 9.1.2 stands in for valkey:8.1, which cannot be had here"),
    ],
)
def test_the_server_that_an_image_names_runs_or_the_nearest_is_said_to_stand_in(
    engine: str, tag: str, path: str, said: str | None
) -> None:
    found = server_for(engine, tag)
    assert found is not None
    assert (found.path, stands_in(engine, tag)) == (path, said)


@given(version=versions, engine=st.sampled_from([REDIS, VALKEY]))
def test_whatever_runs_under_another_label_is_said_to(version: tuple[int, int, int], engine: str) -> None:
    for count in (1, 2, 3):
        tag = ".".join(map(str, version[:count]))
        found = server_for(engine, tag)
        assert found is not None, "pip install -r sandbox/requirements.txt"
        assert found.engine == engine
        assert (stands_in(engine, tag) is None) == (found.version[:count] == numbers(tag))


def test_every_image_that_the_settings_accept_can_be_pulled_in_the_sandbox() -> None:
    for line in LINES:
        for tag in (line.version, line.least, f"{line.version}-alpine", f"{line.least}-bookworm"):
            assert exists(f"{PLACES[line.engine]}:{tag}")
    assert exists(Images.defaults().redis)


def test_only_images_of_servers_are_stood_in_for() -> None:
    assert stand_in("python:3.13-alpine") is None


def test_a_machine_without_a_server_of_the_engine_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(servers, "servers", tuple)
    with pytest.raises(SandboxError, match="this machine has no valkey-server; install it"):
        images.ImageStore(tmp_path).get("valkey/valkey:9.1-alpine")


@pytest.mark.redis
def test_an_image_has_the_server_under_both_names(tmp_path: Path) -> None:
    image = images.ImageStore(tmp_path).get("valkey/valkey:9.1-alpine")
    folder = image.root / "usr/local/bin"
    assert (folder / "redis-server").resolve() == folder / "valkey-server"
    assert (folder / "redis-cli").resolve() == folder / "valkey-cli"
    assert image.user(999) == (1000, "/data")


def answer_of(image: images.Image) -> str:
    """What the image's server says of itself, where nothing is but the image."""
    binds = [word for bind in image.binds for word in ("--ro-bind", *bind)]
    command = ["bwrap", "--die-with-parent", "--unshare-all", "--bind", str(image.root), "/", *binds, "redis-server"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.redis
def test_every_server_of_this_machine_runs_in_its_image(tmp_path: Path) -> None:
    store = images.ImageStore(tmp_path)
    for server in servers.servers():
        place = "redis" if server.engine == REDIS else "valkey/valkey"
        major, minor, _ = server.version
        image = store.get(f"{place}:{major}.{minor}")
        assert f"v={'.'.join(map(str, server.version))} " in answer_of(image), server.title


@pytest.mark.redis
def test_a_server_that_brings_libraries_of_its_own_has_them_in_its_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = shutil.which("redis-server")
    assert own is not None
    folder = tmp_path / "servers"
    parts = folder / ".parts"
    (parts / "lib").mkdir(parents=True)
    shutil.copy(own, parts / "server")
    script = folder / "redis-7.7.7"
    script.write_text(f'#!/bin/sh\nexec env LD_LIBRARY_PATH={parts}/lib {parts}/server "$@"\n')
    script.chmod(0o755)
    for module, name, value in ((servers, "FOLDER", folder), (servers, "PARTS", parts), (images, "PARTS", parts)):
        monkeypatch.setattr(module, name, value)
    found = ServerProgram(REDIS, (7, 7, 7), str(script))
    monkeypatch.setattr(servers, "servers", lambda: (found,))
    assert "Redis server v=7." in answer_of(images.ImageStore(tmp_path / "images").get("redis:7.4"))
