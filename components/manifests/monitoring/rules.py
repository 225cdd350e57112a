"""The rules file of a pool: recording rules, then the alerts that ask for them. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests.monitoring.alerts import alerts
from components.manifests.monitoring.recording import recordings
from components.plan.alerting import derive_alerting
from components.plan.plan import Plan


def rule_groups(settings: Settings, plan: Plan) -> dict[str, Any]:
    """`groups` as a rules file and a PrometheusRule have them."""
    alerting = derive_alerting(settings, plan)
    apart = plan.nodes is not None and plan.nodes.zone_separation
    found = alerts(
        plan.pool,
        alerting,
        zones_apart=apart,
        issued=settings.tls.mode.has_tls and settings.tls.issuer is not None,
        told=settings.monitoring.pushgateway is not None,
        has_tls=settings.tls.mode.has_tls,
    )
    return {
        "groups": [
            {
                "name": f"{plan.pool}.recordings",
                "rules": [rule.body() for rule in recordings(plan.pool, alerting)],
            },
            {
                "name": f"{plan.pool}.alerts",
                "rules": [alert.body(settings.monitoring.runbook_url) for alert in found],
            },
        ]
    }
