"""The alerts about what keeps the cache up: updates, repairs, and the renewal of the certificate."""

from collections.abc import Iterator

from components.manifests import names, tls
from components.manifests.monitoring.alert import WARNING, Alert
from components.manifests.monitoring.recording import RECONCILER, recorded
from components.plan.alerting import Alerting

_OVERDUE_DAYS = 7
"""What a renewal by cert-manager may be late before somebody looks."""
_LATE_DAYS = 30
_LATE_SHARE = 4
"""A certificate must be renewed this long before its end, or when only this part (1/4) of its time is left, if that is
less. cert-manager renews with a third left, and who signs for a few days only renews all the time."""


def changes(here: str, alerting: Alerting) -> Iterator[Alert]:
    """Jobs and rolls, as Kubernetes tells of them."""
    unplanned = f"unless on (namespace) {recorded('planned_change:bool')} == 1"
    # Where Kubernetes is not asked, the Job itself may have said it. It does not count beside what Kubernetes says: who
    # reaches a Pushgateway can tell it anything.
    repaired = f'kube_cronjob_status_last_successful_time{{{here}, cronjob="{names.REPAIR}"}}'
    # A Pushgateway forgets nothing: of a pool that comes back it has the repairs of long ago. So the Jobs of an update,
    # which do all that a *repair* does, count as one while they tell anything.
    repairs = f'{RECONCILER}_last_success_timestamp_seconds{{{here}, phase="repair"}}'
    updates = f'{RECONCILER}_last_seen_timestamp_seconds{{{here}, phase!="repair"}}'
    told = f"({repairs} or {updates})"
    repaired = f"{repaired} or {told} unless on (namespace) {repaired}"
    yield Alert(
        "RedisRepairNotRun",
        f"(time() - max by (namespace) ({repaired}) > {alerting.repair_seconds}) {unplanned}",
        # Until a Job of the update begins, what was told before the pool came back is all there is.
        alerting.steady_seconds,
        WARNING,
        "No repair has ended well for {{ $value | humanizeDuration }}.",
    )
    failed = f'max by (namespace, job_name) (kube_job_status_failed{{{here}, job_name!~"{names.REPAIR}-.*"}})'
    ended = f'max by (namespace, phase) ({RECONCILER}_exit_status{{{here}, phase!="repair"}})'
    ended = f'label_replace({ended}, "job_name", "$1", "phase", "(.*)")'
    yield Alert(
        "RedisJobFailed",
        f"({failed} or max by (namespace, job_name) ({ended}) unless on (namespace) {failed}) > 0",
        0,
        WARNING,
        "Job {{ $labels.job_name }} of an update has failed.",
    )
    wanted, updated = (
        f"max by (namespace, statefulset) (kube_statefulset_{what}{{{here}}})"
        for what in ("replicas", "status_replicas_updated")
    )
    yield Alert(
        "RedisRollDoesNotEnd",
        f"{wanted} - {updated} > 0",
        alerting.roll_seconds,
        WARNING,
        "{{ $value }} pods of {{ $labels.statefulset }} still run what was before the update.",
    )


def told_by_jobs(here: str, alerting: Alerting) -> Iterator[Alert]:
    """What *repair* alone can say of itself, by a Pushgateway."""
    unplanned = f"unless on (namespace) {recorded('planned_change:bool')} == 1"
    yield Alert(
        "RedisRepairWaits",
        f'(max by (namespace, rule) ({RECONCILER}_waiting{{{here}, phase="repair"}}) > 0) {unplanned}',
        alerting.repair_seconds,
        WARNING,
        "Every repair waits, for {{ $value }} things, at the rule {{ $labels.rule }}.",
    )


def certificate(here: str, alerting: Alerting, *, issued: bool, told: bool) -> Iterator[Alert]:
    """The pods' certificate, where somebody tells of it: cert-manager of the one that it issues, *repair* of any."""
    tellers = [*([_issued(here)] if issued else []), *([_shown(here)] if told else [])]
    if tellers:
        yield Alert(
            "RedisCertificateEnds",
            " or ".join(tellers),
            alerting.steady_seconds,
            WARNING,
            "The certificate of the pods ends in {{ $value | humanizeDuration }}, and should have been renewed by now.",
        )


def _shown(here: str) -> str:
    """What a node shows to who connects. Some hold for two years, others for days."""
    begin, end = (
        f'{RECONCILER}_certificate_{at}_timestamp_seconds{{{here}, phase="repair"}}' for at in ("begin", "end")
    )
    late = f"clamp_max(({end} - {begin}) / {_LATE_SHARE}, {_LATE_DAYS * 86400})"
    return f"min by (namespace) ({end} - time() < {late})"


def _issued(here: str) -> str:
    # Where Prometheus does not honour cert-manager's labels, `namespace` is that of cert-manager's own pod.
    own, other = (
        f'certmanager_certificate_expiration_timestamp_seconds{{{where}, name="{names.TLS_OBJECT}"}}'
        for where in (here, f"exported_{here}")
    )
    other = f'label_replace({other}, "namespace", "$1", "exported_namespace", "(.+)")'
    left_seconds = tls.RENEWED_BEFORE_HOURS * 3600 - _OVERDUE_DAYS * 86400
    return f"(max by (namespace) ({own} or {other}) - time() < {left_seconds})"
