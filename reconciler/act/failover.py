"""Hands over from a master that lives to its replica: no write is lost, and writes are held back only briefly."""

from __future__ import annotations

from reconciler.connection import Connection, Network, ReplyError, text
from reconciler.observe.node import parse_info

VOTES_S = 0.25
"""The votes of the other masters come within two round trips and two ticks of 100 ms, once the replica has received
every write."""

FAILOVER_TIMEOUT_S = 5.5
"""Redis gives up such a failover after 5 s (CLUSTER_MF_TIMEOUT in its source). Until then the master holds back
writes."""

STREAM_TIMEOUT_S = 2.0
"""Twice the time between two confirmations of a replica."""

POLL_S = 0.05


def hand_over(network: Network, master: Connection, replica: Connection) -> None:
    """CLUSTER FAILOVER, agreed between the two. Raises `ReplyError` if the replica lags too far to begin.

    The master holds back writes until the replica has received all of them and the other masters have voted. They
    refuse to vote about one master twice within two node timeouts. Then TAKEOVER does it without them. That is safe
    here: the master lives, so no other replica can be elected, and while it takes no writes, equal offsets mean that
    nothing is lost.

    Both are asked who they are. A replica that won an election within the last four node timeouts counts its old votes
    as new ones (seen with Redis 7.0.15), calls itself master, and is corrected a moment later.
    """
    _await_stream(network, master, replica)
    replica.call("CLUSTER", "FAILOVER")
    asked = network.now()
    while network.now() - asked < FAILOVER_TIMEOUT_S:
        network.sleep(POLL_S)
        replica_role, received = _role_and_offset(replica)
        master_role, sent = _role_and_offset(master)
        if replica_role == "master" and master_role == "slave":
            return
        if network.now() - asked >= VOTES_S and received == sent:
            try:
                replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
            except ReplyError:
                # It became master at this moment, or calls itself so. The next round asks which of the two.
                continue


def _await_stream(network: Network, master: Connection, replica: Connection) -> None:
    """Wait until the replica has received what was written by now.

    After a full resync without a disk the master sends it nothing before its next confirmation, which comes once a
    second, although it calls the replica online. Writes would be held back for so long.
    """
    _, written = _role_and_offset(master)
    end = network.now() + STREAM_TIMEOUT_S
    while int(_role_and_offset(replica)[1] or 0) < int(written or 0):
        if network.now() >= end:
            raise ReplyError(f"the replica lags: it has not received what was written {STREAM_TIMEOUT_S:g} s ago")
        network.sleep(POLL_S)


def _role_and_offset(connection: Connection) -> tuple[str, str]:
    """Of INFO replication: what a node is, and the offset of what it sent as a master, or received as a replica."""
    facts = parse_info(text(connection.call("INFO", "replication")))
    return facts.get("role", ""), facts.get("slave_repl_offset", facts.get("master_repl_offset", ""))
