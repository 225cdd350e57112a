"""nodes.conf is given present addresses, and turned into a replica's, without harm to anything else in it."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pod_life.awk_files import Table, awk, families, ipv4, ipv6, tables

SELF_IP = "10.9.9.9"


def rewrite(text: str, dns: dict[str, str], self_ip: str = SELF_IP) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory() as directory:
        table, file = Path(directory, "dns"), Path(directory, "nodes.conf")
        table.write_text("".join(f"{host} {state}\n" for host, state in dns.items()))
        file.write_text(text)
        done = awk("nodes_conf.awk", table, file, self_ip=self_ip, port=6379, bus_port=16379)
        return done.returncode, done.stdout, done.stderr


def follow(text: str, successor: str, epoch: int, slots: str, ip: str = "10.8.8.8") -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "nodes.conf")
        file.write_text(text)
        done = awk("follow.awk", file, file, successor=successor, successor_ip=ip, epoch=epoch, slots=slots)
        return done.returncode, done.stdout


@st.composite
def tables_and_dns(draw: st.DrawFn) -> tuple[Table, dict[str, str]]:
    table = draw(tables())
    address = draw(families)
    states = st.sampled_from(["gone", "unknown", *(address(5, n) for n in range(9)), address(0, 1)])
    return table, {node.host: draw(states) for node in table.nodes if node.id != table.me}


@settings(max_examples=60, deadline=None)
@given(tables_and_dns(), st.sampled_from((SELF_IP, "2001:db8::7:6379", "fd00::")))
def test_every_node_gets_the_address_dns_has_for_it_and_keeps_the_rest(
    case: tuple[Table, dict[str, str]], self_ip: str
) -> None:
    before, dns = case
    status, text, error = rewrite(before.text(), dns, self_ip)
    assert (status, error) == (0, "")
    after = Table.parse(text)
    assert (after.current_epoch, after.last_vote_epoch) == (before.current_epoch, before.last_vote_epoch)
    for old, new in zip(before.nodes, after.nodes, strict=True):
        assert replace(new, ip=old.ip, flags=old.flags) == old
        if old.id == before.me:
            assert (new.ip, new.flags) == (self_ip, old.flags)
        elif dns[old.host] == "gone":
            assert new.ip == ""
            assert "noaddr" in new.flags
        elif dns[old.host] == "unknown":
            assert new == old
        else:
            assert new.ip == dns[old.host]
            assert "noaddr" not in new.flags
            moved = new.ip != old.ip
            assert not (moved and {"fail", "fail?"} & set(new.flags))


@settings(max_examples=40, deadline=None)
@given(tables_and_dns(), st.data())
def test_what_another_server_would_not_start_with_is_left_out(
    case: tuple[Table, dict[str, str]], data: st.DataObject
) -> None:
    before, dns = case
    known = st.sampled_from(("tls-port=0", f"shard-id={5:040x}", "nodename=redis-master-0.redis-64gb", "tcp-port=6379"))
    unknown = st.sampled_from(
        (
            "availability-zone=us-east-1a",
            "client-ipv4=10.1.1.1",
            "client-tcp-port=1",
            "later",
            "no-shard-id=1",
            "x=tls-port",
        )
    )
    fields = {node.id: data.draw(st.lists(known | unknown, max_size=5)) for node in before.nodes}
    kept = {
        name: [field for field in mine if field.partition("=")[0] in ("shard-id", "nodename", "tcp-port", "tls-port")]
        for name, mine in fields.items()
    }

    def having(chosen: dict[str, list[str]]) -> str:
        nodes = [replace(node, aux="".join(f",{field}" for field in chosen[node.id])) for node in before.nodes]
        return replace(before, nodes=tuple(nodes)).text()

    assert rewrite(having(fields), dns) == rewrite(having(kept), dns)
    status, text, _ = rewrite(having(fields), dns)
    assert status == 0
    assert {node.id: node.aux for node in Table.parse(text).nodes} == {
        name: "".join(f",{field}" for field in mine) for name, mine in kept.items()
    }


@settings(max_examples=30, deadline=None)
@given(tables_and_dns())
def test_asking_twice_changes_nothing_more(case: tuple[Table, dict[str, str]]) -> None:
    before, dns = case
    _, once, _ = rewrite(before.text(), dns)
    assert rewrite(once, dns) == (0, once, "")


@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_a_file_that_ends_too_early_is_refused_with_a_reason(table: Table, data: st.DataObject) -> None:
    text = table.text()
    last_line = text.rindex("vars")
    cut = data.draw(st.integers(0, last_line + len("vars currentEpoch 1 lastVoteEpoch")))
    status, _, error = rewrite(text[:cut], {})
    assert status == 3
    assert error


@settings(max_examples=40, deadline=None)
@given(tables(), st.data())
def test_a_file_with_a_damaged_byte_is_refused_or_harmless(table: Table, data: st.DataObject) -> None:
    text = table.text()
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from("\x01~#Z")) + text[at + 1 :]
    status, _, error = rewrite(damaged, {})
    assert status in (0, 3)
    assert bool(error) == (status == 3)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(1, 10**6), st.sampled_from((ipv4(8, 8), ipv6(8, 8))))
def test_a_replaced_master_comes_back_as_replica_of_its_heir(table: Table, epoch: int, ip: str) -> None:
    mine = next(node for node in table.nodes if node.id == table.me)
    replicas = [node for node in table.nodes if node.master == mine.id]
    if not replicas:
        status, _ = follow(table.text(), "f" * 40, epoch, "1-2")
        assert status == 4
        return
    successor = replicas[0]
    owned = " ".join(slot for slot in mine.slots if not slot.startswith("["))
    status, text = follow(table.text(), successor.id, epoch, owned, ip)
    assert status == 0
    after = {node.id: node for node in Table.parse(text).nodes}
    assert after[mine.id] == replace(mine, flags=("myself", "slave"), master=successor.id, slots=())
    assert after[successor.id].slots == tuple(owned.split())
    assert after[successor.id].flags == ("master",)
    assert (after[successor.id].master, after[successor.id].ip, after[successor.id].epoch) == ("-", ip, epoch)
    for other in table.nodes:
        if other.id in (mine.id, successor.id):
            continue
        expected = replace(other, master=successor.id) if other.master == mine.id else other
        assert after[other.id] == expected
    assert Table.parse(text).current_epoch == max(table.current_epoch, epoch)


def test_a_replica_takes_over_the_shard_of_its_heir_where_redis_left_them_different() -> None:
    mine, successor = "a" * 40, "b" * 40
    text = (
        f"{mine} 10.0.0.1:6379@16379,m.x,tls-port=0,shard-id={'1' * 40} myself,master - 0 0 1 connected 0-16383\n"
        f"{successor} 10.0.0.2:6379@16379,r.x,tls-port=0,shard-id={'2' * 40} slave {mine} 0 0 1 connected\n"
        "vars currentEpoch 1 lastVoteEpoch 0\n"
    )
    status, after = follow(text, successor, 2, "0-16383")
    assert status == 0
    assert after.count("2" * 40) == 2
    assert "1" * 40 not in after


def with_shards_of_masters(text: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "nodes.conf")
        file.write_text(text)
        done = awk("shard_ids.awk", file, file)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_replicas_get_the_shard_ids_of_their_masters_wherever_they_stand_and_nothing_else_changes(
    table: Table, data: st.DataObject
) -> None:
    text = table.text()
    wrong = text
    for node in table.nodes:
        if node.master != "-" and data.draw(st.booleans()):
            line = next(line for line in text.splitlines() if line.startswith(node.id))
            wrong = wrong.replace(line, re.sub("shard-id=[0-9a-f]+", f"shard-id={'9' * 40}", line))
    assert with_shards_of_masters(wrong) == text
    assert with_shards_of_masters(text) == text
