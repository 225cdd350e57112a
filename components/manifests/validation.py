"""The Job that puts a load of images on the cache at the end of an update. Pure: plan -> manifest."""

from math import ceil

from components.config.settings import Settings
from components.config.units import MIB, kubernetes_quantity
from components.manifests import jobs, keys, names, tls
from components.manifests.containers import USERS_PATH, password_files
from components.manifests.manifest import Manifest, refs
from components.manifests.users import APP, PASSWORD_KEY
from components.plan.plan import Plan
from components.plan.pool_name import digest

VALIDATION = "validation"
PACKAGES = ("loadgen", "redis")
_SHARE = 10
"""Where the config names no rate, the load is the workload's, divided by this: it comes on top of what applications
send, and one pod must be able to send it."""
_IMAGES_PER_MASTER = 20
_CONNECTIONS_PER_NODE = 4
_TTL_SECONDS = 60
"""What the load wrote is gone a minute after it."""
_FILL_SECONDS = 120
"""Until its images are written once. The rest of the deadline is the load's own length."""
_WARM_UP_SECONDS = 2
_MEMORY_MIB = 256


def rate(settings: Settings) -> int:
    """Images per second of the load."""
    asked = settings.validation.requests_per_second
    return asked or ceil(settings.workload.requests_per_second / _SHARE)


def validation(settings: Settings, plan: Plan, coming: tuple[Manifest, ...], *after: str) -> Manifest:
    """A Job that fails when the rate or the 95th percentile is missed, or any request failed. Its log is the report,
    whose end is the message of the failed update. It runs anew whenever one of the `coming` objects is another."""
    wanted = settings.validation
    host = names.service_host(names.CLIENT_SERVICE, plan.pool, settings.cluster_domain)
    command = [
        "python3",
        "-m",
        "loadgen",
        f"{host}:{tls.endpoint_port(settings.tls.mode)}",
        f"--rate={rate(settings)}",
        f"--hit-rate={settings.workload.hit_rate}",
        f"--sizes={max(_SIZE_MIN_BYTES, settings.workload.object_bytes)}",
        f"--images={_IMAGES_PER_MASTER * plan.sizing.masters}",
        f"--connections={_CONNECTIONS_PER_NODE}",
        f"--ttl={_TTL_SECONDS}",
        f"--warm-up={_WARM_UP_SECONDS}",
        f"--duration={wanted.seconds}",
        f"--fill-seconds={_FILL_SECONDS}",
        f"--prefix={settings.access.key_prefix}validation:",
        "--met",
        f"--p95-ms={wanted.p95_latency_ms or settings.workload.p95_latency_ms}",
    ]
    files = () if settings.tls.mode.has_plain else tls.files_of_clients(settings)
    command += [f"--{_OPTIONS[file]}={names.TLS_PATH}/{file}" for file in files]
    mentioned = dict.fromkeys(ref for item in coming for ref in refs(item.body) if ref != keys.NAMESPACE)
    template = jobs.python_pod(
        settings,
        VALIDATION,
        command,
        PACKAGES,
        [
            {"name": "REDIS_USER", "value": APP},
            {"name": "REDIS_PASSWORD_FILE", "value": f"{USERS_PATH}/{PASSWORD_KEY}"},
            {"name": "COMING", "value": digest(str([item.body for item in coming]))},
            *({"name": f"COMING_{ref.of.upper()}", "value": ref} for ref in mentioned),
        ],
    )
    # One image to write and a buffer to read into, beside Python itself.
    memory = kubernetes_quantity(_MEMORY_MIB + ceil(settings.workload.object_bytes / MIB))
    template["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "1000m", "memory": memory},
        "limits": {"memory": memory},
    }
    spec = template["spec"]
    # The files of Secrets are readable by their group alone.
    spec["securityContext"]["fsGroup"] = spec["securityContext"]["runAsGroup"]
    spec["containers"][0]["volumeMounts"].append({"name": "password", "mountPath": USERS_PATH, "readOnly": True})
    spec["volumes"].append(password_files("password", PASSWORD_KEY))
    if files:
        spec["containers"][0]["volumeMounts"].append(tls.mount())
        spec["volumes"].append(tls.volume(settings, *files))
    return jobs.job_of(VALIDATION, template, _FILL_SECONDS + _WARM_UP_SECONDS + wanted.seconds + _END_SECONDS, *after)


_OPTIONS = {names.AUTHORITY: "ca-file", names.CERTIFICATE: "cert-file", names.PRIVATE_KEY: "key-file"}
"""File of the certificate's Secret -> the load generator's option for it."""
_SIZE_MIN_BYTES = 64
"""The load generator's smallest image."""
_END_SECONDS = 30
"""For what is under way when the load's time is over, and for the report."""
