"""The reconciler on servers that move no slots themselves, whatever they are: for comparisons."""

import sys

from reconciler.observe import native_jobs


def main() -> int:
    native_jobs.FIRST_WITH = dict.fromkeys(native_jobs.NativeWay, (99, 0))

    from reconciler.__main__ import main as reconcile

    return reconcile()


if __name__ == "__main__":
    sys.exit(main())
