"""How long a deploy of 500 models takes, beside kubectl, helm and raw requests; and what 1,000 pods ask of wtsctl.

    python benchmarks/deploy.py [--models 500] [--rounds 3] [--slow-rounds 1] [--pods 1000] [--only PART]

The objects are a Namespace, and of each model a Deployment with 0 replicas and a Service. The run starts a control
plane of its own (etcd, kube-apiserver, kube-controller-manager, kube-scheduler), in a network namespace of its own.
Each program applies the same objects, once when there are none and once more with nothing to change, in a namespace
of its own for each round; the programs run in turn, as whole processes, their output in a pipe. kubectl and helm,
which take up to a minute each time, run in fewer rounds. The controllers run all the time, for all alike.

- kubectl: `kubectl apply --server-side -f FILE`, the sandbox's own, from the text that wtsctl renders.
- helm: `helm upgrade --install`, of a chart that renders the same objects (see catalogs.py).
- raw, 4 and 16: PATCHes of the objects' JSON by as many threads, each with a connection, and nothing else (api.py).
- wtsctl: `wtsctl deploy --no-wait --yes`, from models.yaml: reads, checks, renders, plans, asks the cluster, applies.

Before that, what helm and wtsctl render is compared and has to be the same; after the first apply it is counted.
helm and kwok are compiled from their Go modules, once, into wtsctl's cache. What is measured of the pods: refresh.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import api
import catalogs
from control_plane import Counting, control_plane, own_network
from measure import Taken, installed, machine, spread, taken
from peers import HELM, KWOK, compiled, stages
from refresh import refresh

Times = dict[str, dict[str, list[Taken]]]
_FIRST, _AGAIN = "first apply", "nothing changed"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part of the run needs.

    Attributes:
        folder: for the run's files.
        wtsctl: the program that is measured.
        tools: the others, by their names.
        count: how many models.
        place: the environment of all of them; its KUBECONFIG leads to the control plane.
    """

    folder: Path
    wtsctl: str
    tools: Mapping[str, str]
    count: int
    place: Mapping[str, str]

    @property
    def server(self) -> api.Server:
        """The control plane."""
        return api.Server(Path(self.place["KUBECONFIG"]))

    def command(self, name: str, namespace: str, count: int) -> list[str]:
        """The command of a program that applies the objects in a namespace; writes what it reads into a folder."""
        folder = self.folder / namespace
        folder.mkdir()
        catalog = folder / "models.yaml"
        catalog.write_text(catalogs.bare(catalogs.models(count), namespace))
        if name == "wtsctl":
            return [self.wtsctl, "deploy", "-f", str(catalog), "--no-wait", "--yes"]
        text = catalogs.rendered(self.wtsctl, catalog)
        if name == "kubectl":
            (folder / "objects.yaml").write_text(text)
            return [self.tools["kubectl"], "apply", "--server-side", "-f", str(folder / "objects.yaml")]
        if name == "helm":
            one, chart = folder / "one.yaml", str(folder / "chart")
            one.write_text(catalogs.bare([catalogs.STAND_INS], namespace))
            catalogs.write_chart(folder / "chart", catalogs.rendered(self.wtsctl, one), count)
            template = [self.tools["helm"], "template", namespace, chart]
            made = subprocess.run(template, check=True, capture_output=True, text=True).stdout
            if catalogs.objects(made) != catalogs.objects(text):
                sys.exit("the chart renders something else than wtsctl: there is nothing to compare")
            return [self.tools["helm"], "upgrade", "--install", namespace, chart, "--namespace", "default"]
        items = sorted(catalogs.objects(text).values(), key=lambda item: bool(item["kind"] != "Namespace"))
        lines = (f"{api.path_of(item)}\t{json.dumps(item)}\n" for item in items)
        (folder / "objects").write_text("".join(lines))
        return [sys.executable, str(Path(api.__file__)), name.rpartition(" ")[2], str(folder / "objects")]


def complete(bench: Bench, namespace: str) -> None:
    """Refuse to go on where not all objects are there."""
    for kind in ("/api/v1/namespaces/%s/services", "/apis/apps/v1/namespaces/%s/deployments"):
        found = len(bench.server.get(kind % namespace)["items"])
        if found != bench.count:
            sys.exit(f"{kind % namespace}: {found} objects, not {bench.count}")


def compare(bench: Bench, rounds: Mapping[str, int]) -> Times:
    """Apply with each program in turn, and once more with nothing changed."""
    times: Times = {name: {_FIRST: [], _AGAIN: []} for name in rounds}
    names = list(rounds)
    for turn in range(max(rounds.values())):
        # Another one begins each time.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if turn >= rounds[name]:
                continue
            namespace = f"{name.replace(' ', '-')}-{turn}"
            command = bench.command(name, namespace, bench.count)
            for what in (_FIRST, _AGAIN):
                one = taken(command, bench.place)
                times[name][what].append(one)
                print(f"  {name}, {what}: {one.wall:.2f} s", file=sys.stderr)
            complete(bench, namespace)
    return times


def report(times: Times, count: int) -> None:
    """The table, and the ratios that the aims are about."""
    print(f"\n{2 * count + 1} objects of {count} models; seconds: median (least to most), processor time of the client")
    print(f"{'':10} {_FIRST:>24} {'CPU':>6}  {_AGAIN:>24} {'CPU':>6}  rounds")
    for name, measured in times.items():
        first, again = (spread([one.wall for one in measured[what]]) for what in (_FIRST, _AGAIN))
        used = [median(one.cpu for one in measured[what]) for what in (_FIRST, _AGAIN)]
        print(f"{name:10} {first:>24} {used[0]:6.2f}  {again:>24} {used[1]:6.2f}  {len(measured[_FIRST])}")
    ours = times["wtsctl"]
    print(
        "\nhow many times as long as wtsctl, of the medians (aims: kubectl 8 and 30, helm 2, wtsctl within 1.5 of raw)"
    )
    for name, measured in times.items():
        if name != "wtsctl":
            ratios = [
                median(one.wall for one in measured[what]) / median(one.wall for one in ours[what])
                for what in (_FIRST, _AGAIN)
            ]
            print(f"{name:10} {_FIRST} {ratios[0]:6.2f}   {_AGAIN} {ratios[1]:6.2f}   (1/x: {1 / ratios[0]:.2f})")


def requests(bench: Bench) -> None:
    """Count the requests of a deploy that changes nothing, for a fifth of the models and for all."""
    print("\nrequests of `wtsctl deploy --no-wait --yes` with nothing changed")
    for number in (bench.count // 5, bench.count):
        namespace = f"counted-{number}"
        command = bench.command("wtsctl", namespace, number)
        taken(command, bench.place)
        proxy = Counting(bench.server, bench.folder / namespace / "kubeconfig")
        taken(command, {**bench.place, "KUBECONFIG": str(proxy.kubeconfig)})
        proxy.close()
        print(f"{number} models: {proxy.requests.total()} requests")
        for path, times in sorted(proxy.requests.items()):
            print(f"    {times} {path.replace(namespace, 'NAMESPACE')}")


def started(folder: Path, wtsctl: str, tools: Mapping[str, str], count: int, kubeconfig: Path) -> Bench:
    """What the parts need, at a control plane that has just been started."""
    folder.mkdir()
    place = {**installed(folder / "python"), "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
    bench = Bench(folder, wtsctl, {**tools, "kubectl": str(kubeconfig.parent / "bin/kubectl")}, count, place)
    # Not timed: Python compiles wtsctl, and the API server has served each kind once.
    taken(bench.command("wtsctl", "warm", 5), place)
    return bench


def main() -> None:
    """Start the control plane, run the parts, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of kubectl and helm; 0 leaves them out")
    parser.add_argument("--pods", type=int, default=1000, help="pods, and as many nodes, that kwok plays")
    parser.add_argument("--only", choices=["compare", "requests", "refresh"], action="append")
    arguments = parser.parse_args()
    parts = arguments.only or ["compare", "requests", "refresh"]
    tools = {"helm": str(compiled(HELM)), "kwok": str(compiled(KWOK)), "stages": str(stages())}
    own_network()
    wtsctl = str(Path(sys.executable).with_name("wtsctl"))
    rounds = dict.fromkeys(("kubectl", "helm"), arguments.slow_rounds) if arguments.slow_rounds else {}
    rounds |= dict.fromkeys(("raw 4", "raw 16", "wtsctl"), arguments.rounds)
    with tempfile.TemporaryDirectory(prefix="wtsctl-benchmark-") as made:
        folder = Path(made)
        print(machine())
        if {"compare", "requests"} & set(parts):
            with control_plane(wtsctl, folder / "state") as kubeconfig:
                bench = started(folder / "applied", wtsctl, tools, arguments.models, kubeconfig)
                if "compare" in parts:
                    report(compare(bench, rounds), arguments.models)
                if "requests" in parts:
                    requests(bench)
        if "refresh" in parts:
            # Another one: the controllers of the first still have thousands of Deployments to look at.
            with control_plane(wtsctl, folder / "state") as kubeconfig:
                bench = started(folder / "watched", wtsctl, tools, arguments.models, kubeconfig)
                kwok = (tools["kwok"], "--config", tools["stages"])
                refresh(bench.folder, wtsctl, kwok, arguments.pods, bench.place)
        print(machine())


if __name__ == "__main__":
    main()
