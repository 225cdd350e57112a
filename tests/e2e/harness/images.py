"""Container images for a node that can reach no registry: the sandbox's, packed as archives.

The sandbox assembles Redis, Python and busybox from this machine's own programs (`sandbox/host/images.py`); here each
becomes a docker archive of one layer, under the names that the stack's config asks for.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from components.config.settings import Images
from sandbox.host.images import DEFAULT_PATH, Image, ImageStore

PAUSE = "registry.k8s.io/pause:3.8"
"""What holds a pod's namespaces. Here it is a busybox that sleeps."""
OTHER_REDIS_TAG = "7.4.11-alpine"
"""A second tag of the same image, so that editing the tag rolls the pods. The registry has this one too."""
_LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data"}
"""Of Python's standard library, what no Job uses and would make the image several times larger."""


def other_redis() -> str:
    """The config's Redis image with another tag."""
    return f"{_default('redis').partition(':')[0]}:{OTHER_REDIS_TAG}"


def archives(directory: Path) -> list[Path]:
    """Makes the archives in `directory`."""
    directory.mkdir(parents=True)
    store = ImageStore(directory / "roots")
    named = {
        "redis": (store.get(_default("redis")), [_default("redis"), other_redis()]),
        "python": (store.get("python"), [_default("python")]),
        "pause": (store.get("busybox"), [PAUSE]),
    }
    made = []
    for name, (image, references) in named.items():
        command = ["sleep", "2147483647"] if name == "pause" else list(image.command)
        made.append(directory / f"{name}.tar")
        _pack(image, command, [_full(reference) for reference in references], made[-1])
    return made


def _default(image: str) -> str:
    return str(Images.model_fields[image].default)


def _full(reference: str) -> str:
    """As containerd spells it: `docker.io/library/redis:…` for `redis:…`."""
    return reference if "/" in reference else f"docker.io/library/{reference}"


def _pack(image: Image, command: list[str], references: list[str], target: Path) -> None:
    layer = _layer(image)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint),
            "Cmd": command,
            "WorkingDir": image.working_dir,
            "Env": [f"PATH={DEFAULT_PATH}"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": references, "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        for path, content in ((name, text), ("layer.tar", layer), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _layer(image: Image) -> bytes:
    """The image's root and what the sandbox would bind into it, without what it would mask."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(image.root, arcname=".")
        for source, target in image.binds:
            masked = {str(Path(path).relative_to(target)) for path in image.masked if path.startswith(f"{target}/")}

            def wanted(
                entry: tarfile.TarInfo, target: str = target, masked: set[str] = masked
            ) -> tarfile.TarInfo | None:
                below = Path(entry.name).relative_to(target.lstrip("/")).parts
                left_out = below and (below[0] in masked or _LEFT_OUT.intersection(below) or "config-" in below[0])
                return None if left_out else entry

            archive.add(source, arcname=target.lstrip("/"), filter=wanted)
    return layer.getvalue()
