"""A password is changed in three steps; pods of two steps that follow each other must accept each other."""

from itertools import pairwise

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.pod_life.network import Network
from tests.pod_life.pods import PORT, Pod

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

OLD = 'old "quoted" \\ päss #1\''
NEW = "new $HOME `id` word\tafter a tab\nthe next line; $(id) 'ü' \\x41 %s\r\n* "
NEW += "#" * (4096 - len(NEW.encode()))
"""4,096 bytes, with everything that a shell, printf or redis.conf would take apart."""
STEPS = ((OLD, None), (OLD, NEW), (NEW, OLD), (NEW, None))


def accepts(pod: Pod, password: str | None) -> bool:
    # By default redis-py tries a wrong password four times, with pauses of seconds.
    once = Retry(NoBackoff(), 0)
    with redis.Redis(host=pod.ip or "", port=PORT, password=password, socket_timeout=3, retry=once) as client:
        try:
            return bool(client.config_get("maxmemory")) and client.acl_whoami() == "default"
        except redis.AuthenticationError:
            return False


@pytest.fixture
def pods(network: Network, conf: str) -> list[Pod]:
    found = []
    for number, (password, also_accepted) in enumerate(STEPS):
        pod = Pod(network, f"redis-master-{number}", conf, password)
        if also_accepted is not None:
            pod.env["ALSO_ACCEPTED_AUTH"] = also_accepted
        pod.create()
        pod.wait_for_answer()
        found.append(pod)
    return found


def test_each_step_accepts_what_the_one_before_and_the_one_after_use(pods: list[Pod]) -> None:
    used = []
    for pod in pods:
        with pod.client() as client:
            used.append(client.config_get("masterauth")["masterauth"])
    assert used == [OLD, OLD, NEW, NEW]

    for earlier, later in pairwise(range(len(pods))):
        assert accepts(pods[earlier], used[later])
        assert accepts(pods[later], used[earlier])


def test_no_password_but_the_steps_own_opens_a_pod_and_none_is_shown(pods: list[Pod]) -> None:
    for pod, (password, also_accepted) in zip(pods, STEPS, strict=True):
        for tried in (OLD, NEW, "another password", None):
            assert accepts(pod, tried) == (tried in (password, also_accepted) and tried is not None)
        assert pod.execute("redis-cli", "PING").stdout == "PONG\n"
        shown = pod.log.read_text() + pod.execute("cat", "/proc/1/cmdline").stdout
        assert OLD not in shown
        assert NEW not in shown
