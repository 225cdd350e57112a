"""A password is changed in two steps; pods of two steps that follow each other must let each other in."""

from itertools import pairwise
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.config.settings import Access
from components.manifests import users
from tests.pod_life.network import Network
from tests.pod_life.pods import PORT, SERVICE_SECRET, Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

OLD = 'old "quoted" \\ päss #1\''
NEW = "new $HOME `id` word\tafter a tab\nthe next line; $(id) 'ü' \\x41 %s\r\n* "
NEW += "#" * (4096 - len(NEW.encode()))
"""4,096 bytes, with everything that a shell, printf or redis.conf would take apart."""


def access(**given: Any) -> Access:
    return Access.model_validate(given)


STEPS = ((OLD, access()), (NEW, access(alsoAccepted=OLD)), (NEW, access()))


def accepts(pod: Pod, user: str | None, password: str) -> bool:
    # By default redis-py tries a wrong password four times, with pauses of seconds.
    once = Retry(NoBackoff(), 0)
    with redis.Redis(pod.ip or "", PORT, username=user, password=password, socket_timeout=3, retry=once) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False


@pytest.fixture
def pods(network: Network, conf: str) -> list[Pod]:
    found = [
        Pod(network, f"redis-master-{number}", conf, password, given) for number, (password, given) in enumerate(STEPS)
    ]
    for pod in found:
        pod.create()
        pod.wait_for_answer()
    return found


def test_only_the_passwords_of_a_step_open_its_pods_and_none_is_shown(pods: list[Pod]) -> None:
    for pod, (password, given) in zip(pods, STEPS, strict=True):
        accepted = {password} | ({OLD} if given.also_accepted else set())
        for tried in (OLD, NEW, "another password"):
            assert accepts(pod, users.APP, tried) == (tried in accepted)
            own = users.service_password(SERVICE_SECRET, users.OPERATOR, tried)
            assert accepts(pod, users.OPERATOR, own) == (tried in accepted)
            # A password without a user, and the application's as the operator's.
            assert not accepts(pod, None, tried)
            assert not accepts(pod, users.OPERATOR, tried)
        shown = pod.log.read_text() + pod.execute("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout
        for secret in (OLD, NEW, *(pod.env[name] for name in pod.env if name.endswith("_AUTH"))):
            assert secret not in shown


def test_a_pod_asks_those_of_the_step_before_and_after(pods: list[Pod]) -> None:
    for earlier, later in pairwise(pods):
        for asking, asked in ((earlier, later), (later, earlier)):
            # stop.sh and start.sh ask by this.
            script = f". /scripts/lib.sh; ask 3 {asked.ip} PING; printf 'DBSIZE\\nPING\\n' | ask 3 {asked.ip}"
            done = asking.execute("sh", "-c", f"cd /scripts; {script}", "/scripts/asks")
            assert done.stdout == "PONG\n0\nPONG\n", (asking.name, asked.name, done)


@pytest.mark.parametrize("first", ["master", "replica"])
def test_a_replica_finds_the_way_into_a_master_of_the_other_step(network: Network, conf: str, first: str) -> None:
    """Also of one that had no users: its pods know the user default alone, and roll in the same order."""
    old = [Pod(network, "redis-master-0", conf, OLD, access())]
    new = [Pod(network, "redis-replica-0", conf, NEW, access(alsoAccepted=OLD))]
    none = [Pod(network, "redis-master-1", f"{conf}\n{without_users(OLD)}", None)]
    everything = [Pod(network, "redis-replica-1", conf, OLD, access(defaultUser="everything"))]
    last = [Pod(network, "redis-master-2", conf, NEW, access())]
    for pods in (old, new, none, everything, last):
        for pod in pods:
            pod.create()
            pod.wait_for_answer() if pod.password else wait_until("it answers", lambda pod=pod: accepts(pod, None, OLD))
    pairs = [(old[0], new[0]), (none[0], everything[0])]
    if first == "replica":
        pairs = [(replica, master) for master, replica in pairs]
    for master, replica in pairs:
        follow(replica, master)
    # The link breaks and is to be made again, towards a master of the last step.
    follow(new[0], last[0])


def without_users(password: str) -> str:
    """What start.sh wrote into redis.conf before there were users."""
    return f"requirepass {users.quoted(password)}\nmasterauth {users.quoted(password)}"


def client_of(pod: Pod) -> redis.Redis:
    return pod.client() if pod.password else redis.Redis(pod.ip or "", PORT, password=OLD, socket_timeout=3)


def follow(replica: Pod, master: Pod) -> None:
    with client_of(replica) as client, client_of(master) as other:
        if client.execute_command("CLUSTER NODES")[f"{replica.ip}:{PORT}"]["flags"] != "myself,master":
            client.execute_command("CLUSTER RESET")
        client.execute_command("CLUSTER MEET", master.ip, PORT, PORT + 10000)
        master_id = other.execute_command("CLUSTER MYID")
        wait_until("they know each other", lambda: client.execute_command("CLUSTER REPLICATE", master_id))
        probe = (lambda: replica.script("ready.sh").returncode == 0) if replica.password else (lambda: True)
        wait_until(
            f"{replica.name} follows {master.name}",
            lambda: probe() and client.info("replication")["master_link_status"] == "up",
            40,
            step_seconds=0.5,
        )
