"""What the containers of all pods have in common. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import keys

USERS_PATH = "/etc/redis-users"
"""Where a container has the files of the pool's Secret that are for it."""
GROUP_READS = 0o440
"""Of files of Secrets: root writes them, the pod's group reads them."""


def pull_secrets(settings: Settings) -> dict[str, Any]:
    """With what the node logs in to the images' registries; of every pod."""
    named = settings.images.pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in named]} if named else {}


def locked_down() -> dict[str, Any]:
    """Security context of every container: no privilege can be gained, nothing but volumes can be written."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def password_files(name: str, *shown: str) -> dict[str, Any]:
    """A volume of these keys of the pool's Secret."""
    items = [{"key": key, "path": key} for key in shown]
    return {"name": name, "secret": {"secretName": keys.AUTH, "defaultMode": GROUP_READS, "items": items}}
