"""Whose data a starting pod endangers, from what the other nodes answer."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.pod_life.awk_files import awk

ME, SUCCESSOR, OTHER, THIRD = "a" * 40, "b" * 40, "c" * 40, "d" * 40
MY_IP, MY_HOST = "10.0.0.1", "m-0.x"
OWN = (
    f"{ME} {MY_IP}:6379@16379,{MY_HOST} myself,master - 0 0 1 connected 0-8191\n"
    f"{SUCCESSOR} 10.0.0.2:6379@16379,r-0.x slave {ME} 0 0 1 connected\n"
    f"{OTHER} 10.0.0.3:6379@16379,m-1.x master - 0 0 2 connected 8192-16383\n"
    "vars currentEpoch 2 lastVoteEpoch 0\n"
)


def answer(
    *nodes: str, role: str = "slave", follows: str = MY_IP, offset: int = 100, keys: int = 7, loading: bool = False
) -> str:
    replication = f"role:{role}\r\n"
    if role == "slave":
        replication += f"master_host:{follows}\r\nmaster_port:6379\r\nslave_repl_offset:{offset}\r\n"
    if loading:
        return f"{replication}\nLOADING Redis is loading the dataset in memory\n\n" * 1
    return f"{replication}\n{keys}\n" + "\n".join(nodes) + "\n\n"


def node(id_: str, ip: str, host: str, flags: str, master: str = "-", epoch: int = 1, slots: str = "") -> str:
    return f"{id_} {ip}:6379@16379,{host} {flags} {master} 0 0 {epoch} connected {slots}".rstrip()


SUCCESSOR_AS_REPLICA = answer(
    node(SUCCESSOR, "10.0.0.2", "r-0.x", "myself,slave", ME),
    node(ME, MY_IP, MY_HOST, "master", slots="0-8191"),
)
OTHERS = (
    node(OTHER, "10.0.0.3", "m-1.x", "myself,master", epoch=2, slots="8192-16383"),
    node(ME, MY_IP, MY_HOST, "master", slots="0-8191"),
)


def survey(own: str = OWN, **answers: str) -> list[str]:
    """Findings; `answers` is by the last number of the address: _2 = 10.0.0.2. They are the same where the addresses
    are of IPv6."""
    found = _survey("10.0.0.", own, answers)
    assert [line.replace("fd00:10:244::", "10.0.0.") for line in _survey("fd00:10:244::", own, answers)] == found
    return found


def _survey(network: str, own: str, answers: Mapping[str, str]) -> list[str]:
    def of_network(text: str) -> str:
        return text.replace("10.0.0.", network)

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "own")
        file.write_text(of_network(own))
        paths = []
        for number, text in answers.items():
            path = Path(directory, network + number[1:])
            path.write_text(of_network(text))
            paths.append(path)
        done = awk("survey.awk", file, *paths, my_ip=of_network(MY_IP), my_host=MY_HOST, own=file)
        assert (done.returncode, done.stderr) == (0, "")
        return sorted(line for line in done.stdout.splitlines() if not line.startswith("member"))


def test_a_replica_with_keys_is_a_copy() -> None:
    assert survey(_2=SUCCESSOR_AS_REPLICA) == ["replica 10.0.0.2 100"]


def test_a_replica_without_keys_is_no_copy_and_nobody_to_wait_for() -> None:
    assert survey(_2=SUCCESSOR_AS_REPLICA.replace("\n7\n", "\n0\n")) == []


def test_a_replica_that_does_not_answer_or_is_loading_is_waited_for() -> None:
    assert survey() == ["silent 10.0.0.2"]
    assert survey(_2=answer(loading=True)) == ["silent 10.0.0.2"]
    assert survey(_2="NOAUTH Authentication required.\n") == ["silent 10.0.0.2"]


def test_a_silent_replica_that_the_others_agree_is_dead_is_not_waited_for() -> None:
    dead = node(SUCCESSOR, "10.0.0.2", "r-0.x", "slave,fail", ME)
    doubtful = node(SUCCESSOR, "10.0.0.2", "r-0.x", "slave,fail?", ME)
    assert survey(_3=answer(*OTHERS, dead, role="master")) == []
    assert survey(_3=answer(*OTHERS, doubtful, role="master")) == ["silent 10.0.0.2"]


def test_a_replica_without_an_address_is_not_waited_for() -> None:
    gone = OWN.replace("10.0.0.2:6379@16379,r-0.x slave", ":0@0,r-0.x slave,noaddr")
    assert survey(own=gone) == []


def test_the_promoted_replica_is_the_successor_with_what_it_serves() -> None:
    promoted = answer(
        node(SUCCESSOR, "10.0.0.2", "r-0.x", "myself,master", epoch=3, slots="0-100 102-8191 [5->-" + OTHER + "]"),
        node(ME, MY_IP, MY_HOST, "master,fail"),
        role="master",
    )
    assert survey(_2=promoted) == [f"successor 10.0.0.2 {SUCCESSOR} 3 0-100 102-8191"]


def test_of_two_that_claim_the_slots_the_later_elected_is_the_successor() -> None:
    def claims(id_: str, epoch: int) -> str:
        return answer(node(id_, "10.0.0.9", "x", "myself,master", epoch=epoch, slots="0-8191"), role="master")

    assert survey(_2=claims(SUCCESSOR, 3), _4=claims(THIRD, 4)) == [f"successor 10.0.0.4 {THIRD} 4 0-8191"]
    assert survey(_2=claims(SUCCESSOR, 10), _4=claims(THIRD, 9)) == [f"successor 10.0.0.2 {SUCCESSOR} 10 0-8191"]


def test_a_replica_that_follows_another_master_by_now_is_left_alone() -> None:
    moved = answer(
        node(SUCCESSOR, "10.0.0.2", "r-0.x", "myself,slave", OTHER),
        node(OTHER, "10.0.0.3", "m-1.x", "master", slots="8192-16383"),
        node(ME, MY_IP, MY_HOST, "master", slots="0-8191"),
        follows="10.0.0.3",
    )
    assert survey(_2=moved) == []


def test_a_node_without_nodes_conf_finds_its_former_self_by_its_host_name() -> None:
    moved_here = node(ME, "10.0.0.77", MY_HOST, "master", slots="0-8191")
    view = answer(
        node(OTHER, "10.0.0.3", "m-1.x", "myself,master", slots="8192-16383"),
        moved_here,
        node(SUCCESSOR, "10.0.0.2", "r-0.x", "slave", ME),
        role="master",
    )
    assert survey(own="", _3=view) == ["silent 10.0.0.2"]
    replica = answer(node(SUCCESSOR, "10.0.0.2", "r-0.x", "myself,slave", ME), moved_here, follows="10.0.0.77")
    assert survey(own="", _3=view, _2=replica) == ["replica 10.0.0.2 100"]


def test_a_replica_of_another_shard_that_follows_this_pods_address_is_a_copy() -> None:
    view = (
        node(THIRD, MY_IP, "m-7.x", "master", slots="0-8191"),
        node(SUCCESSOR, "10.0.0.2", "r-7.x", "myself,slave", THIRD),
    )
    assert survey(own="", _2=answer(*view)) == ["replica 10.0.0.2 100"]


def test_a_replica_of_a_master_that_was_here_but_moved_on_is_left_alone() -> None:
    view = (
        node(THIRD, MY_IP, "m-7.x", "master", slots="0-8191"),
        node(SUCCESSOR, "10.0.0.2", "r-7.x", "myself,slave", THIRD),
    )
    assert survey(own="", _2=answer(*view, follows="10.0.0.50")) == []


def test_a_replica_of_a_master_without_slots_is_no_copy() -> None:
    text = answer(node(SUCCESSOR, "10.0.0.2", "r-0.x", "myself,slave", ME), node(ME, MY_IP, MY_HOST, "master"))
    assert survey(_2=text) == []
