"""Both ways to another size, between masters like these."""

from components.advice.advice import Advice
from components.config.formats import NONE, rate, seconds
from components.config.units import MIB
from components.plan.resize import DISCOVERY_SECONDS, JOB_SECONDS, JOIN_SECONDS
from preview.document import Facts, Section, Table


def resize(plan: Advice) -> Section:
    """How long moving every slot takes, and what it costs meanwhile."""
    found = plan.resize
    return Section(
        "Changing size",
        "while the cache serves",
        (
            Table(
                ("way of moving slots", "copy", "expire"),
                (
                    ("time for the working set", seconds(found.copy_seconds), seconds(found.expire_seconds)),
                    ("time with full masters", seconds(found.copy_full_seconds), NONE),
                    ("extra misses", "0", f"{found.expire_extra_misses:,}"),
                    ("extra misses, at most", rate(0), rate(found.extra_misses_per_second)),
                    ("copied by each master", f"{found.copy_bytes_per_second_per_master / MIB:,.0f} MiB/s", "0 MiB/s"),
                ),
            ),
            Facts(
                (
                    ("chosen", f"{found.mode.value} (resize.mode)"),
                    ("slots with keys move", f"{plan.server.slot_move}, between pods of {plan.server.title}"),
                    (
                        "beside it",
                        f"{seconds(JOB_SECONDS + JOIN_SECONDS)} until new nodes have joined, "
                        f"{seconds(DISCOVERY_SECONDS)} until clients know them",
                    ),
                    ("copy is limited by", _BOUNDS.get(found.copy_bound_by, found.copy_bound_by)),
                    ("deadline of the Job", seconds(found.deadline_seconds)),
                )
            ),
        ),
    )


_BOUNDS = {"network": "the network", "core": "the master's core", "config": "resize.maxMibPerSecond"}
