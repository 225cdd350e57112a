"""The plan that would do, given what was measured: memory in use, the hit rate, or how well images compress."""

from components.advice.compression import Compression
from components.advice.right_sizing import MEMORY_TARGET, Measured, RightSize, Step
from components.config.formats import NONE, count, gbps, memory, percent, share, times, usd
from components.config.units import format_size
from preview.document import Facts, Note, Section, Table


def right_sizing(found: RightSize, read: Measured | None = None) -> Section:
    """What the measured memory or hit rate needs; `read` is what a Prometheus said, which nobody has typed."""
    steps = (
        ("as configured", found.now),
        ("full to the last byte", found.least),
        (f"at most {percent(100 * MEMORY_TARGET)} full", found.wanted),
        ("the cheapest that serves" if found.recommended.serves() else "the cheapest", found.recommended),
    )
    rows = tuple(
        (
            label,
            format_size(step.total_memory_bytes),
            f"{step.masters}",
            f"{step.pods}",
            percent(found.use_percent(step)),
            NONE if step.refusal else times(step.headroom),
            step.instance_type or NONE,
            f"{step.nodes_total}" if step.nodes_total else NONE,
            usd(step.infrastructure_usd),
        )
        for label, step in steps
    )
    return Section(
        "Right size",
        f"for {memory(found.in_use_bytes)} in use",
        (
            *([] if read is None else [_as_read(read)]),
            Table(("", "totalMemory", "masters", "pods", "full", "served", "node type", "nodes", "USD a month"), rows),
            Note("Served is what it carries over what is wanted (workload.requestsPerSecond)."),
            Note(_enough(found.recommended, found.hit_rate)),
        ),
    )


def _as_read(read: Measured) -> Facts:
    facts = [("within a day", f"at most {memory(read.memory_bytes or 0)} in use")]
    if read.hit_rate is not None:
        facts.append(("", f"{percent(100 * read.hit_rate, 1)} of the lookups were hits on average"))
    return Facts(tuple(facts))


def _enough(step: Step, hit_rate: float | None) -> str:
    """What to configure, unless the program itself would refuse it. A hit rate that the config has not is in it."""
    if step.refusal is not None:
        return (
            f"None of the sizes that were tried has a plan. With {format_size(step.total_memory_bytes)}: {step.refusal}"
        )
    enough = f"Enough: totalMemory: {format_size(step.total_memory_bytes)}"
    if hit_rate is not None:
        enough += f" with workload.hitRate: {round(hit_rate, 4):g}"
    if step.serves():
        return enough
    served = f"{count(step.masters, 'master')} serve {times(step.headroom)} the requests that are wanted."
    return f"{enough}, for memory. {served}"


def compression(found: Compression) -> Section:
    """What images of a fraction of their size would change."""
    enough = found.enough
    own_size = f"totalMemory: {format_size(enough.total_memory_bytes)} with workload.objectBytes: {found.object_bytes}"
    facts = [
        ("an image", f"{found.object_bytes:,} bytes, which take {found.size_class_bytes:,} bytes of memory"),
        ("working set", f"{memory(found.images_size_bytes)}, {percent(found.memory_percent)} of the memory"),
        ("lowest hit rate", share(found.break_even_hit_rate, 1)),
        ("sent by a master", gbps(found.egress_gbps_per_master)),
        ("enough", f"{format_size(enough.total_memory_bytes)}: {enough.refusal}")
        if enough.refusal
        else ("enough", f"{own_size}, {count(enough.pods, 'pod')}"),
    ]
    if enough.infrastructure_usd is not None:
        facts.append(("", f"{usd(enough.infrastructure_usd)} USD a month without traffic"))
    return Section("Compression", f"to {percent(100 * found.ratio)} of the size", (Facts(tuple(facts)),))
