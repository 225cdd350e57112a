"""The first Job of an update: with another cluster's domain no pod would find another, so it says the right one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.check import cluster_domain, main

domains = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True)
namespaces = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)


@given(namespaces, domains, st.lists(domains, max_size=2))
def test_the_domain_is_read_from_what_the_kubelet_writes(namespace: str, domain: str, of_node: list[str]) -> None:
    search = " ".join([f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *of_node])
    assert cluster_domain(f"search {search}\nnameserver fd00:10:96::a\noptions ndots:5\n") == domain


@pytest.mark.parametrize("text", ["", "nameserver 10.0.0.2\n", "search eu-west-1.compute.internal\n", "\nsearch\n"])
def test_where_the_search_list_is_not_a_clusters_nothing_is_known(text: str) -> None:
    assert cluster_domain(text) is None


@pytest.mark.parametrize(
    ("given_domain", "text", "status"),
    [
        ("cluster.local", "search a.svc.cluster.local svc.cluster.local cluster.local\n", 0),
        ("Cluster.Local", "search a.svc.cluster.local. svc.cluster.local. cluster.local.\n", 0),
        ("k8s.example.com", "search a.svc.cluster.local svc.cluster.local cluster.local\n", 2),
        ("cluster.local", "nameserver 10.0.0.2\n", 0),
    ],
)
def test_another_domain_than_the_clusters_is_refused_with_the_right_one(
    given_domain: str, text: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert main([f"--cluster-domain={given_domain}", f"--resolv-conf={file}"]) == status
    said = capsys.readouterr()
    if status == 0:
        assert said.out == "check: the pods of Jobs start\n"
    else:
        assert "clusterDomain = k8s.example.com: the domain of this cluster is cluster.local" in said.err
        assert "set clusterDomain to cluster.local" in said.err
