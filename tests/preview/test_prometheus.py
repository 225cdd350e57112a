"""`--measured-from`: what a Prometheus says becomes figures, and everything else an error that can be acted on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from components.plan.alerting import HIT_RATE, MEMORY_USED
from preview import command
from preview.errors import EvaluationError
from preview.prometheus import measured_from


class Answers(BaseHTTPRequestHandler):
    status, body, asked = 200, "", [""]

    def do_GET(self) -> None:
        expr = parse_qs(urlsplit(self.path).query)["query"][0]
        self.asked.append(expr)
        series = next((values for name, values in self.values.items() if name in expr), [])
        result = [{"metric": {}, "value": [0, value]} for value in series]
        text = self.body or json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(text.encode())

    values: dict[str, list[str]] = {}  # noqa: RUF012

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Answers]]]:
    handler = type("Handler", (Answers,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()


def test_most_memory_and_average_hits_of_the_pool_are_read(server: tuple[str, type[Answers]]) -> None:
    url, handler = server
    handler.values = {MEMORY_USED: ["5e11"], HIT_RATE: ["0.75"]}
    found = measured_from(f"{url}/", "redis-64gb")
    assert (found.memory_bytes, found.hit_rate) == (500_000_000_000, 0.75)
    assert handler.asked[0].startswith("max_over_time(")
    assert handler.asked[1].startswith("avg_over_time(")
    assert all('namespace="redis-64gb"' in expr for expr in handler.asked)


@pytest.mark.parametrize("rates", [[], ["NaN"]])
def test_a_cache_that_nobody_reads_has_no_hit_rate(server: tuple[str, type[Answers]], rates: list[str]) -> None:
    url, handler = server
    handler.values = {MEMORY_USED: ["1e9"], HIT_RATE: rates}
    assert measured_from(url, "redis-64gb").hit_rate is None


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, "", "it has no redis_image_cache:memory_used:bytes of namespace redis-64gb"),
        (200, "<html>hello</html>", "what answers is no Prometheus"),
        (200, '{"other": 1}', "what answers is no Prometheus"),
        (503, "", "it answers 503"),
    ],
)
def test_what_cannot_be_read_is_said(server: tuple[str, type[Answers]], status: int, body: str, message: str) -> None:
    url, handler = server
    handler.status, handler.body = status, body
    with pytest.raises(EvaluationError, match=message):
        measured_from(url, "redis-64gb")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "prometheus:9090", "http://", ""])
def test_only_an_address_of_the_web_is_asked(url: str) -> None:
    with pytest.raises(EvaluationError, match="no address; give one such as"):
        measured_from(url, "redis-64gb")


def test_where_nobody_answers_the_command_says_so_and_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stack", "local", "--measured-from", "http://127.0.0.1:1"]) == 1
    assert "--measured-from http://127.0.0.1:1: it does not answer" in capsys.readouterr().err


def test_figures_are_typed_or_read_and_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--measured-from", "http://127.0.0.1:1", "--measured-memory", "1GB"]
    assert command.main(["--stack", "local", *both]) == 2
    assert "not allowed with argument --measured-memory" in capsys.readouterr().err
