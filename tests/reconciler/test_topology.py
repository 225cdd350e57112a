"""The topology file: what is taken, and what is said about what is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.__main__ import main
from reconciler.topology import TopologyError, parse_topology

GOOD: dict[str, Any] = {
    "pool": "redis-64gb",
    "port": 6379,
    "tls": "plain",
    "nodes": [
        {"pod": f"redis-{role}-{shard}", "host": f"redis-{role}-{shard}.test", "shard": shard, "role": role}
        for shard in range(3)
        for role in ("master", "replica")
    ],
    "seeds": ["redis.redis-image-cache.svc.cluster.local"],
    "nodeTimeoutMs": 5000,
    "deadlineSeconds": 900,
    "bringHome": True,
    "move": {"mode": "expire", "extraMissesPerSecond": 50, "ttlSeconds": 300},
}


def with_change(change: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **change, **more}


def test_a_good_file_is_taken_with_its_defaults() -> None:
    desired = parse_topology(json.dumps({"pool": "p", "nodes": GOOD["nodes"]}))
    assert desired.shard_count == 3
    assert (desired.port, desired.node_timeout_ms, desired.deadline_seconds) == (6379, 5000, 900)
    assert (desired.move.mode, desired.restore_initial_masters, desired.seeds) == ("copy", False, ())
    assert [node.role for node in desired.shard(1)] == ["master", "replica"]
    assert parse_topology(json.dumps(GOOD)).move.extra_misses_per_second == 50


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodeTimeoutMS": 5000}, "nodeTimeoutMS: unknown key; did you mean nodeTimeoutMs?"),
        ({"pool": ""}, 'pool: "" is given, a string that is not empty is needed'),
        ({"port": "6379"}, 'port: "6379" is given, a whole number from 1 to 65535 is needed'),
        ({"port": True}, "port: true is given"),
        ({"tls": "no"}, 'tls: "no" is given, one of plain, both, required is needed'),
        ({"tls": "required"}, "tlsCaFile: missing"),
        ({"tls": "both", "tlsCaFile": "ca.crt"}, "tlsPort: missing"),
        ({"tlsCertFile": "tls.crt"}, "tlsCertFile, tlsKeyFile: one of the two is missing"),
        ({"nodes": []}, "nodes: [] is given, a list that is not empty is needed"),
        ({"nodes": {}}, "nodes: {} is given"),
        ({"nodes": GOOD["nodes"][:4]}, "nodes: 2 shards are given; Redis Cluster needs at least 3 masters"),
        ({"nodes": [*GOOD["nodes"], GOOD["nodes"][0]]}, "pod redis-master-0 appears 2 times"),
        ({"nodes": [*GOOD["nodes"][:-2], {"pod": "a", "host": "a", "shard": 7, "role": "master"}]}, "without gaps"),
        ({"nodes": GOOD["nodes"] + [{"pod": "a", "host": "a", "shard": 3, "role": "replica"}]}, "shard 3 has 0 nodes"),
        ({"nodes": GOOD["nodes"] + [{"pod": "a", "host": "a", "shard": 0, "role": "slave"}]}, "one of master, replica"),
        ({"nodes": GOOD["nodes"] + [{"pod": "a", "shard": 0, "role": "replica"}]}, "nodes[6].host: missing"),
        ({"seeds": [7]}, "seeds[0]: 7 is given"),
        ({"deadlineSeconds": -1}, "deadlineSeconds: -1 is given"),
        ({"move": {"mode": "fast"}}, 'move.mode: "fast" is given, one of copy, expire is needed'),
        ({"move": {"bytesPerSec": 1}}, "move.bytesPerSec: unknown key; did you mean bytesPerSecond?"),
        ({"move": [1]}, "move: [1] is given, an object is needed"),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_what_is_allowed(change: dict[str, Any], said: str) -> None:
    with pytest.raises(TopologyError) as caught:
        parse_topology(json.dumps(with_change(change)))
    assert said in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(TopologyError) as caught:
        parse_topology(json.dumps(with_change({"port": 0, "tls": 1, "move": {"mode": "x"}})))
    assert len(str(caught.value).splitlines()) == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_value_of_any_key_is_taken_or_refused_but_never_breaks_the_parser(key: str, value: object) -> None:
    try:
        desired = parse_topology(json.dumps(with_change({key: value})))
    except TopologyError:
        return
    assert desired.shard_count >= 3


@given(json_values)
def test_any_json_is_no_topology_or_one(value: object) -> None:
    with pytest.raises(TopologyError):
        parse_topology(json.dumps(value))


def test_the_program_says_what_is_wrong_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "topology.json"
    assert main(["form", "--topology", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    file.write_text("{")
    assert main(["form", "--topology", str(file)]) == 2
    assert "not JSON" in capsys.readouterr().err
