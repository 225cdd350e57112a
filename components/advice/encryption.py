"""What goes over the network as it is, and what encryption takes of Redis's core: each with what to change."""

from collections.abc import Iterator

from components.advice.figures import Figures
from components.advice.plan_warning import PlanWarning
from components.advice.remedies import first_change
from components.config.choices import TlsMode
from components.config.formats import percent
from components.config.settings import Settings
from components.plan.core import core_use

_CORE_SHARE_MAX = 0.5
"""Of Redis's core, with TLS. The measured times may be off by half as much again, and a failover takes its part
besides."""


def no_port_without_tls(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Production without TLS, or with a port that has none."""
    if not settings.nodes.production:
        return
    if settings.tls.mode is TlsMode.PLAIN:
        yield PlanWarning(
            "no-tls",
            "Images and passwords go over the network as they are, and the cluster bus lets in whoever reaches it. "
            f"tls.plainBecause says why: {settings.tls.plain_because}.",
            "When the reason is gone, set tls.mode to both, move the applications, then set it to required.",
        )
    elif settings.tls.mode is TlsMode.BOTH:
        yield PlanWarning(
            "port-without-tls",
            "Clients may still use port 6379 without TLS, and send their password over it as it is.",
            "Move the applications to port 6380, then set tls.mode to required.",
        )


def tls_leaves_room_on_the_core(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Encryption is work of Redis's one core."""
    share = figures.load.core_share
    if not figures.load.tls or share <= _CORE_SHARE_MAX:
        return
    without = core_use(settings.workload, settings.replicas_per_master, tls=False)
    change = first_change(
        settings,
        figures,
        ("podMemory", "totalMemory"),
        lambda _, then: then.load.core_share <= _CORE_SHARE_MAX,
    )
    yield PlanWarning(
        "tls-takes-core",
        f"With TLS a master uses {percent(100 * share)} of its one core at the wanted rate. Without TLS it would use "
        f"{percent(100 * figures.load.requests_per_second * without.mean_seconds)}. These times were measured on "
        "another processor than your nodes', and differed by a third from one run to the next.",
        f"{change.sentence(figures) if change else 'Use smaller pods, so that more masters share the load.'} "
        "Or run `make calibrate` on such a node, before you rely on the capacity.",
    )
