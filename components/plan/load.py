"""What one master is asked at a rate of requests, and the first rule that it then breaks.

`first_failure` judges types of nodes, the chosen nodes and the capacity alike, so that none contradicts another.
"""

from dataclasses import dataclass

from components.config.settings import Settings
from components.plan.core import CoreUse, core_use, resync_bytes_per_second
from components.plan.latency import Latency, derive_latency
from components.plan.servers import server_figures
from components.plan.sizing import Sizing
from components.plan.traffic import SINGLE_FLOW_GBPS, Traffic, bytes_per_second, derive_traffic
from components.plan.tuning import Tuning, resync_peak_bytes
from components.plan.working_set import EXPIRED_SHARE, image_bytes

_PRECISION = 1e-9
"""19.2 Gbps of four masters of 4.8 Gbps must not be more than 19.2."""
_SEARCH_STEPS = 60
_RATE_MAX = 10**9
"""Requests a second beyond any cluster: where nothing fails there, nothing is said of the limit."""


@dataclass(frozen=True, slots=True)
class Resync:
    """A full resync where all of a node's pods are masters and each is asked for the whole rate."""

    bytes_per_second: float
    """The least of what the node's network leaves one flow and of what the core's requests leave of it. The writes that
    the copied replica would be sent wait meanwhile."""
    is_bound_by_core: bool
    copy_seconds: float | None
    """Until the data has been sent; None: nothing is left to send it with."""
    in_sync_seconds: float | None
    """Until what was written meanwhile has been sent too; None: it never is."""
    buffered_bytes: float
    peak_bytes: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Load:
    """One master's load, and what it has to carry it with."""

    requests_per_second: float
    traffic: Traffic
    core: CoreUse
    tls: bool
    """Whether the times of the core are those with TLS."""
    object_bytes: int
    image_bytes: int
    """Memory of an image with its key."""
    ttl_seconds: int
    wanted_p95_ms: int
    tuning: Tuning
    limit_bytes: int

    @property
    def core_share(self) -> float:
        """Of one core: 0.2 is a fifth."""
        return self.requests_per_second * self.core.mean_seconds

    def latency(self, link_gbps: float, masters: int) -> Latency:
        """Of a hit, where so many masters share a network."""
        return derive_latency(
            object_bytes=self.object_bytes,
            link_use=masters * self.traffic.egress_gbps_per_master / link_gbps,
            link_gbps=link_gbps,
            masters_on_link=masters,
            core_use=self.core_share,
            get_ms=1000 * self.core.get_seconds,
            core_service_ms=1000 * self.core.effective_seconds,
            wanted_p95_ms=self.wanted_p95_ms,
        )

    def resync(
        self,
        link_gbps: float,
        masters: int,
        *,
        is_full: bool = False,
        data_bytes: float | None = None,
        is_core_idle: bool = False,
    ) -> Resync:
        """Of one master among so many on a network; with the data of this load, with all of its memory full, or with
        so much. Requests leave it the rest of the core, or none takes any of it."""
        traffic = self.traffic
        free = bytes_per_second(link_gbps - masters * traffic.egress_gbps_per_master + traffic.write_gbps_per_master)
        by_core = resync_bytes_per_second(0.0 if is_core_idle else self.core_share, self.tls)
        by_network = min(bytes_per_second(SINGLE_FLOW_GBPS), free)
        rate, is_bound_by_core = min(by_network, by_core), by_core < by_network
        written_on_wire = bytes_per_second(traffic.write_gbps_per_master)
        written = written_on_wire / self.object_bytes * self.image_bytes
        maxmemory = self.tuning.maxmemory_bytes
        data = maxmemory if is_full else min(maxmemory, written * self.ttl_seconds * (1 + EXPIRED_SHARE))
        if data_bytes is not None:
            data = data_bytes
        if not data:
            return Resync(max(0.0, rate), is_bound_by_core, 0.0, 0.0, 0.0, 0.0, fits=True)
        if rate <= 0:
            return Resync(0.0, is_bound_by_core, None, None, 0.0, 0.0, fits=False)
        copy = data / rate
        buffered = written * copy
        peak = resync_peak_bytes(data, maxmemory, written, copy)
        left = rate - written_on_wire
        return Resync(
            bytes_per_second=rate,
            is_bound_by_core=is_bound_by_core,
            copy_seconds=copy,
            in_sync_seconds=data / left if left > 0 else None,
            buffered_bytes=buffered,
            peak_bytes=peak,
            fits=(left > 0 and peak <= self.limit_bytes and buffered <= self.tuning.replica_output_buffer_limit_bytes),
        )


def derive_load(
    settings: Settings,
    sizing: Sizing,
    tuning: Tuning,
    requests_per_second: float | None = None,
    *,
    tls: bool | None = None,
) -> Load:
    """The load of one master at the stack's own rate, or at another with the same share of hits. With the core's times
    of the stack, or with those of TLS or without as `tls` says."""
    workload = settings.workload
    has_tls = settings.tls.mode.has_tls if tls is None else tls
    if requests_per_second is not None:
        workload = workload.model_copy(update={"requests_per_second": requests_per_second})
    return Load(
        requests_per_second=workload.requests_per_second / sizing.masters,
        traffic=derive_traffic(settings.model_copy(update={"workload": workload}), sizing),
        core=core_use(workload, settings.replicas_per_master, has_tls),
        tls=has_tls,
        object_bytes=workload.object_bytes,
        image_bytes=image_bytes(workload.object_bytes, server_figures(settings.images.server.line)),
        ttl_seconds=workload.ttl_seconds,
        wanted_p95_ms=workload.p95_latency_ms,
        tuning=tuning,
        limit_bytes=sizing.limit_memory_mib * 2**20,
    )


def first_failure(load: Load, link_gbps: float, masters: int, cores: float | None = None) -> str | None:
    """The first rule that masters break which share a network and, where that is known, cores: `core`, `flow`,
    `network`, `resync-core`, `resync` or `p95`; None when all rules hold."""
    if load.core_share > 1 + _PRECISION or (cores is not None and masters * load.core_share > cores + _PRECISION):
        return "core"
    if load.traffic.write_gbps_per_master > SINGLE_FLOW_GBPS + _PRECISION:
        return "flow"
    if masters * load.traffic.egress_gbps_per_master > link_gbps + _PRECISION:
        return "network"
    resync = load.resync(link_gbps, masters)
    if not resync.fits:
        return "resync-core" if resync.is_bound_by_core else "resync"
    if not load.latency(link_gbps, masters).holds:
        return "p95"
    return None


@dataclass(frozen=True, slots=True)
class Served:
    """The highest rate at which every rule holds."""

    requests_per_second: float
    bound_by: str
    """The rule that fails beyond it, as `first_failure` names it."""


def highest_rate(
    settings: Settings, sizing: Sizing, tuning: Tuning, link_gbps: float, masters: int, cores: float | None = None
) -> Served:
    """The rate at which the first rule fails, and which. 0 where a rule fails at any rate."""

    def failure(rate: float) -> str | None:
        return first_failure(derive_load(settings, sizing, tuning, rate), link_gbps, masters, cores)

    low, high = 0.0, 1.0
    while failure(high) is None and high < _RATE_MAX:
        low, high = high, 2 * high
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        if failure(middle) is None:
            low = middle
        else:
            high = middle
    return Served(low, failure(high) or "none")
