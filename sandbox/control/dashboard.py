"""`dashboard`: the dashboards of what runs, each as a page that is drawn from the sandbox's Prometheus."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import NotFoundError, SandboxError
from sandbox.monitoring.page import Window, page

if TYPE_CHECKING:
    from sandbox.control.client import Sandbox

_ASK_TIMEOUT_S = 30.0


class PrometheusApi:
    """A Prometheus by its HTTP API. Raises SandboxError when it does not answer or refuses a question."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expr: str) -> list[dict[str, Any]]:
        return self._ask("query", query=expr)

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        return self._ask("query_range", query=expr, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:.3f}")

    def _ask(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            # The address is this machine's own, and HTTP.
            with urllib.request.urlopen(url, timeout=_ASK_TIMEOUT_S) as answer:  # noqa: S310
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except OSError as error:
            raise SandboxError(f"{self._url} does not say what {parameters['query']} is: {error}") from None
        return found


def write_dashboard(sandbox: Sandbox, file: Path, seconds: float) -> list[Path]:
    """Writes them and gives the files; a second dashboard's has its number in its name."""
    url, boards = sandbox.status()["prometheus"], sandbox.dashboards()
    if url is None or not boards:
        raise NotFoundError("nothing is watched here; start it with: make up MONITORING=1")
    end = time.time()
    written = []
    for number, text in enumerate(boards):
        path = file if number == 0 else file.with_stem(f"{file.stem}-{number + 1}")
        path.write_text(page(json.loads(text), PrometheusApi(url), Window(end - seconds, end)))
        written.append(path)
    return written
