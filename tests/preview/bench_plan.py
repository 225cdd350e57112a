"""How long `make plan STACK=prod` takes, as a multiple of importing Pulumi and its two providers: `make bench-plan`."""

import statistics
import subprocess
import sys
import time

from components.advice.advice import derive_advice
from components.config.load import load_settings
from preview.evaluate import own_config, stack_config

ROUNDS = 9
GOAL = 3.0
COMMANDS = {
    "import pulumi, pulumi_aws, pulumi_kubernetes": [
        sys.executable,
        "-c",
        "import pulumi, pulumi_aws, pulumi_kubernetes",
    ],
    "make plan STACK=prod": ["make", "--silent", "plan", "STACK=prod"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    for command in COMMANDS.values():
        seconds(command)
    rounds = [[seconds(command) for command in COMMANDS.values()] for _ in range(ROUNDS)]
    for name, taken in zip(COMMANDS, zip(*rounds, strict=True), strict=True):
        print(f"{name:46} {statistics.median(taken):.2f} s (median of {ROUNDS}, {min(taken):.2f} to {max(taken):.2f})")
    ratios = [plan / imports for imports, plan in rounds]
    print(f"ratio {statistics.median(ratios):.2f} (goal: at most {GOAL:g}; {min(ratios):.2f} to {max(ratios):.2f})")

    settings = load_settings(own_config(stack_config("prod", {})))
    derive_advice(settings)
    began = time.process_time()
    for _ in range(ROUNDS):
        derive_advice(settings)
    print(f"deriving the plan alone: {(time.process_time() - began) / ROUNDS * 1000:.0f} ms of CPU (goal: under 50)")


if __name__ == "__main__":
    main()
