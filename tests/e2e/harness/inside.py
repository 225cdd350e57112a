"""First process inside the namespaces: `python -m tests.e2e.harness.inside COMMAND…`.

Gives the namespaces a machine of their own (`machine.py`), runs the command, and reaps what others leave behind. When
it ends, the kernel ends everything else in the namespace.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.e2e.harness import machine


def main(command: list[str]) -> int:
    machine.set_up()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
