"""A document of one run of `make bench`, as it was printed, with how to read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.bench import text
from tests.bench.predictions import WITHIN
from tests.faults.resync import RESYNC_DATA_MB, RESYNC_RATE

_HEAD = """# Bench, measured

Written by `make bench WRITE=FILE` from one run.

```
{printed}
```

## How

- **Where.** 3+3 pods of 256 MB in the sandbox, in which the rendered pods and Jobs run as they are. Servers and clients
  share this machine's {cores}, so what it carries is far below what nodes of AWS do. Ratios carry over, absolute
  figures do not.
- **The limit of this machine.** "One core that only sends" is a program which does nothing but answer with the same
  bytes over the same link. No server can be faster there.
- **Load.** `python -m loadgen` ([ADR 28](adr/0028-the-load-generator-is-our-own.md)), in an open loop: latency counts
  from when a request was due.
- **Plain** is the sizing document's own deployment, in a sandbox of its own, by the same load.
- **Predicted** is what the planner's own functions say (`tests/bench/predictions.py`). Figures of this run are their
  inputs: what this machine's core takes for a GET and a SET of 10 kB, 1 MB and 10 MB (measured at three moments of the
  run, of which the middle one counts), how long a fork stops a plain Redis without data and with 500 MB, and what one
  core sends over a pod's link. A figure marked `!` is off by more than {within:g} times.
- **Resync.** {data} MB over a link of {link}.
"""


def render(bench: Mapping[str, Any]) -> str:
    """The page."""
    return _HEAD.format(
        printed=text.render(bench),
        cores=bench["machine"].split(",")[0],
        within=WITHIN,
        data=RESYNC_DATA_MB,
        link=RESYNC_RATE.replace("mbit", " Mbit/s"),
    )
