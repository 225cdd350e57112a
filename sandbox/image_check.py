"""Writes images through an ordinary cluster client and reads them back byte for byte.

`python -m sandbox run -- python -m sandbox.image_check --host … --port …` runs it where the pods are; the password is
taken from REDISCLI_AUTH.
"""

import argparse
import os
import sys
import time

from redis.cluster import RedisCluster

_TTL_SECONDS = 300


def main() -> int:
    """Exit status 1 when an image is not what was written, or a shard got none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    arguments = parser.parse_args()

    client = RedisCluster(host=arguments.host, port=arguments.port, password=os.environ.get("REDISCLI_AUTH"))
    masters = set(client.get_primaries())
    # Random bytes do not compress, as images do not.
    images = {f"image:check-{number}": os.urandom(arguments.bytes) for number in range(arguments.images)}

    started = time.monotonic()
    for key, image in images.items():
        client.set(key, image, ex=_TTL_SECONDS)
    written = time.monotonic()
    wrong = [key for key, image in images.items() if client.get(key) != image]
    read = time.monotonic()
    holders = {client.get_node_from_key(key) for key in images}
    client.delete(*images)
    client.close()

    megabytes = arguments.bytes / 1e6
    write_rate, read_rate = (arguments.images * megabytes / seconds for seconds in (written - started, read - written))
    print(
        f"{arguments.images} images of {megabytes:g} MB written ({write_rate:.0f} MB/s) and read back byte for byte "
        f"({read_rate:.0f} MB/s), over {len(holders)} shards"
    )
    if wrong:
        print(f"{len(wrong)} images came back different: {', '.join(wrong[:5])}", file=sys.stderr)
    without = masters - holders
    if without:
        print(f"these masters got no image at all: {', '.join(sorted(node.name for node in without))}", file=sys.stderr)
    return 1 if wrong or without else 0


if __name__ == "__main__":
    sys.exit(main())
