"""How long `wtsctl --version` takes beside `kubectl version --client`, run in turn.

    python benchmarks/startup.py [--kubectl PATH] [-n PAIRS]

Prints the median of each and the median of the pairwise ratios. Both are timed as whole processes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """Wall time of one run of `command`."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Time the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("-n", type=int, default=20, help="pairs to run, after one warm-up")
    arguments = parser.parse_args()
    wtsctl = str(Path(sys.executable).with_name("wtsctl"))
    commands = {
        "wtsctl --version": [wtsctl, "--version"],
        "wtsctl --help": [wtsctl, "--help"],
        "kubectl version --client": [arguments.kubectl, "version", "--client"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(arguments.n + 1):
        for name, command in commands.items():
            taken = seconds(command)
            if turn:
                times[name].append(taken)
    peer = times["kubectl version --client"]
    print(f"{'command':28} {'median ms':>10} {'ratio':>8}   ({arguments.n} rounds in turn)")
    for name, measured in times.items():
        ratio = statistics.median([ours / theirs for ours, theirs in zip(measured, peer, strict=True)])
        print(f"{name:28} {1000 * statistics.median(measured):10.1f} {ratio:8.2f}")


if __name__ == "__main__":
    main()
