"""When each shard took a write, seen by raw connections: `python -m tests.clients.prober CONFIG.json`.

Runs inside the sandbox's network until the file `stop` of the config is there, then writes `report`: for each shard
the wall-clock times (s) of its acknowledged writes. User and password are taken from REDIS_USER and REDIS_PASSWORD.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from tests.faults.load import Prober


def main(config_path: str) -> None:
    config = json.loads(Path(config_path).read_text())
    stop = threading.Event()
    probers = [Prober(config, shard, stop) for shard in range(config["shards"])]
    for prober in probers:
        prober.start()
    while not Path(config["stop"]).exists():
        time.sleep(0.05)
    stop.set()
    offset = time.time() - time.monotonic()
    Path(config["report"]).write_text(json.dumps([[ack + offset for ack in list(prober.acks)] for prober in probers]))


if __name__ == "__main__":
    main(sys.argv[1])
