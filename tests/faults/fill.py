"""Values of 1 MB for one shard, or away with them, as an application may: `python -m tests.faults.fill ENDPOINT TAG N`.

The shard is the one of the hash tag. Written at a pace that a replica follows: in one go they would not fit its output
buffer, and cause the very resync that is to be measured. `--drop` takes what was written.
"""

from __future__ import annotations

import argparse
import os
import time

from tests.faults.load import cluster_client

_VALUE_BYTES = 1_000_000
_VALUES_PER_S = 25


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fill")
    parser.add_argument("endpoint")
    parser.add_argument("tag")
    parser.add_argument("values", type=int)
    parser.add_argument("--drop", action="store_true")
    given = parser.parse_args()
    client = cluster_client(given.endpoint)
    for number in range(given.values):
        key = f"{{{given.tag}}}:{number}"
        if given.drop:
            client.unlink(key)
        else:
            client.set(key, os.urandom(_VALUE_BYTES))
            time.sleep(1 / _VALUES_PER_S)


if __name__ == "__main__":
    main()
