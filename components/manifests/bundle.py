"""The files that travel to the cluster inside ConfigMaps: shell scripts, and zips of Python packages.

The reconciler needs no image of its own: its source and redis-py are imported straight from two zips by an
official Python image.
"""

import base64
import hashlib
import io
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_SCRIPTS = Path(__file__).parents[1] / "scripts"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip remembers times; a fixed one keeps the ConfigMap, and so the preview, still while the code is."""
_TRAVELS_WITH = {"redis": ("async_timeout",)}
"""Package -> what it imports besides. redis-py does so on a Python before 3.11.3, such as Debian 12's. It is always
packed: what is packed must depend neither on the Python that packs it nor on that of the image that runs it."""
CONFIG_MAP_BYTES_MAX = 1024 * 1024
"""Kubernetes refuses a ConfigMap whose values are larger together."""


@cache
def scripts() -> dict[str, str]:
    """File name -> text of every script (sh, awk) that runs in the Redis pods."""
    return {name: (_SCRIPTS / path).read_text() for name, path in script_paths().items()}


@cache
def script_paths() -> dict[str, str]:
    """File name, which is its key in the ConfigMap -> where it is below the folder of the scripts."""
    return {path.name: str(path.relative_to(_SCRIPTS)) for path in sorted(_SCRIPTS.rglob("*")) if path.is_file()}


@cache
def sources_digest(package: str) -> str:
    """Eight characters that differ where the sources of an installed package do."""
    digest = hashlib.sha256()
    for name, content in _sources(package):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:8]


@cache
def package_zip_base64(package: str) -> str:
    """An installed pure-Python package as an importable zip, base64-encoded for a ConfigMap's binaryData.

    Raises ValueError when it would not fit a ConfigMap.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _sources(package):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    zipped = buffer.getvalue()
    if len(zipped) > CONFIG_MAP_BYTES_MAX:
        raise ValueError(f"package {package} takes {len(zipped)} bytes; a ConfigMap holds {CONFIG_MAP_BYTES_MAX}")
    return base64.b64encode(zipped).decode()


def _sources(package: str) -> list[tuple[str, bytes]]:
    """Name in the zip and content of each module of a package and of what travels with it, in an order that does not
    depend on the file system."""
    return [source for name in sorted((package, *_TRAVELS_WITH.get(package, ()))) for source in _modules(name)]


def _modules(package: str) -> list[tuple[str, bytes]]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"package {package} is not installed; `pip install -r requirements.txt` brings it")
    root = Path(spec.origin).parent
    files = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py"))
    return [(f"{package}/{name}", path.read_bytes()) for name, path in files]
