"""How long `wtsctl render` and `wtsctl validate` take for 500 models, beside `helm template` of an equal chart.

    python benchmarks/render.py [--models 500] [-n ROUNDS] [--helm PATH]

helm is compiled from its Go module, once, into wtsctl's cache, unless `--helm` names one.

The chart is made from what wtsctl renders for one model: its template is that text in a `range` over the models in
values.yaml, with `{{ }}` where the models differ. It has no conditions, no includes and no `toYaml`, as a chart that
people write would, so helm has less to do than it would there. Before anything is timed, the objects of both are
compared, and have to be the same. The programs run in turn, as whole processes, with their output in a pipe.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import catalogs
from measure import Taken, installed, machine, taken
from peers import HELM, compiled


def output(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Compare the objects, time the programs in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--helm", type=Path)
    parser.add_argument("-n", type=int, default=10, help="rounds to run, after one warm-up")
    arguments = parser.parse_args()
    wtsctl = str(Path(sys.executable).with_name("wtsctl"))
    program = str(arguments.helm or compiled(HELM))
    with tempfile.TemporaryDirectory(prefix="wtsctl-benchmark-") as made:
        folder = Path(made)
        environment = installed(folder / "python")
        one, catalog = folder / "one.yaml", folder / "models.yaml"
        one.write_text(catalogs.catalog([catalogs.STAND_INS]))
        catalogs.write_chart(folder / "chart", catalogs.rendered(wtsctl, one), arguments.models)
        catalog.write_text(catalogs.catalog(catalogs.models(arguments.models)))
        commands = {
            "wtsctl render": [wtsctl, "render", "-f", str(catalog)],
            "helm template": [program, "template", "benchmark", str(folder / "chart")],
            "wtsctl validate": [wtsctl, "validate", "-f", str(catalog)],
        }
        ours, theirs = (catalogs.objects(output(commands[name])) for name in ("wtsctl render", "helm template"))
        if ours != theirs:
            sys.exit("the chart renders something else than wtsctl: there is nothing to compare")
        times: dict[str, list[Taken]] = {name: [] for name in commands}
        for turn in range(arguments.n + 1):
            for name, command in commands.items():
                one_run = taken(command, environment)
                if turn:
                    times[name].append(one_run)
    print(machine())
    print(f"{arguments.models} models, {len(ours)} objects, {arguments.n} rounds in turn; seconds")
    print(f"{'command':18} {'min':>7} {'median':>7} {'max':>7} {'median CPU':>11} {'min CPU':>8}")
    for name, measured in times.items():
        wall, used = [one.wall for one in measured], [one.cpu for one in measured]
        row = (min(wall), statistics.median(wall), max(wall))
        print(f"{name:18} {row[0]:7.2f} {row[1]:7.2f} {row[2]:7.2f} {statistics.median(used):11.2f} {min(used):8.2f}")


if __name__ == "__main__":
    main()
