"""A sandbox's life on a real machine: it starts, is broken in every way, is repaired, and leaves nothing behind.

It has a name and folders of its own; compiled programs and images are linked from the user's cache, so nothing
is compiled again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.sandboxes import require_node, unavailable
from wtsctl.sandbox import config, launch
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.e2e

NAME = "test-lifecycle"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
)
SECONDS = 90.0
# What Kubernetes and containerd write to on a machine that they have to themselves.
SYSTEM_FOLDERS = (
    "/etc/cni",
    "/etc/containerd",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/kubernetes",
    "/run/netns",
    "/run/wtsctl",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
TUNABLES = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str
    cpu: float
    """Seconds of processor time."""

    @property
    def data(self) -> dict[str, Any]:
        """The `data` of its JSON envelope."""
        return dict(json.loads(self.stdout)["data"])


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of a sandbox, and how wtsctl is run on them."""

    root: Path
    prefix: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def environment(self) -> dict[str, str]:
        """The variables that put all files under `root`."""
        own = {
            "HOME": str(self.root),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
        }
        kept = {name: value for name, value in os.environ.items() if name not in {"KUBECONFIG", "KUBEBUILDER_ASSETS"}}
        return {**kept, **own, **self.variables}

    @property
    def layout(self) -> Layout:
        """Where the sandbox's files are."""
        return Layout(
            NAME, self.root / "state" / "wtsctl" / "sandbox" / NAME, self.root / "cache" / "wtsctl" / "sandbox"
        )

    def wtsctl(self, *arguments: str) -> Ran:
        """Run `wtsctl sandbox …` to its end."""
        command = [*self.prefix, self.python, "-m", "wtsctl", "sandbox", *arguments, "--name", NAME]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, env=self.environment, cwd="/", capture_output=True, text=True, check=False, timeout=300
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Ran(done.returncode, done.stdout, done.stderr, cpu)

    def up(self, *arguments: str) -> Ran:
        """Start it, and fail the test if it does not."""
        done = self.wtsctl("up", "-o", "json", *arguments)
        assert done.code == 0, done.stderr
        return done

    def kubectl(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the sandbox's own kubectl on it."""
        command = [str(self.layout.state / "bin" / "kubectl"), f"--kubeconfig={self.layout.kubeconfig}", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)


def link_cache(source: Layout, target: Layout) -> None:
    """Give another sandbox the same programs and images without copying them."""

    def link(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)

    for part in ("bin", "images"):
        if (source.cache / part).exists():
            shutil.copytree(source.cache / part, target.cache / part, copy_function=link, dirs_exist_ok=True)


def until(what: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """The first true answer, within a bound."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := what():
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came of it within {seconds:.0f} s")
        time.sleep(0.1)


def printed(*command: str) -> list[str]:
    """The sorted lines that a command prints."""
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def machine(others: frozenset[str]) -> dict[str, Any]:
    """What a user sees of a machine: mounts, links, namespaces, rules, cgroups, folders, settings.

    Args:
        others: names of cgroups and links that belong to other sandboxes, which may change meanwhile.
    """
    links = [line.split(":")[1].split("@")[0].strip() for line in printed("ip", "-o", "link")]
    groups = {str(path) for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()}
    groups |= {str(path) for path in Path("/sys/fs/cgroup").glob("*") if path.is_dir()}
    return {
        "mount": printed("mount"),
        "ip link": [name for name in links if name not in others],
        "ip netns": printed("ip", "netns"),
        "nft list ruleset": printed("nft", "list", "ruleset"),
        "cgroups": sorted(name for name in groups if Path(name).name not in others),
        "folders": [name for name in SYSTEM_FOLDERS if Path(name).exists()],
        "settings": {name: Path("/proc/sys", name).read_text() for name in TUNABLES},
    }


def other_sandboxes() -> frozenset[str]:
    """The links and cgroups of sandboxes that are there before the test."""
    links = (line.split(":")[1].split("@")[0].strip() for line in printed("ip", "-o", "link"))
    groups = (path.name for path in Path("/sys/fs/cgroup").glob("**/wtsctl-*") if path.is_dir())
    return frozenset((*(name for name in links if name.startswith("wts-")), *groups))


def descendants(pid: int) -> set[tuple[int, str]]:
    """A process and all that it started, by number and start time."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parents.setdefault(int(fields(entry)[1]), []).append(int(entry.name))
    found, todo = set(), [pid]
    while todo:
        current = todo.pop()
        with contextlib.suppress(OSError):
            found.add((current, fields(Path(f"/proc/{current}"))[19]))
        todo += parents.get(current, [])
    return found


def fields(process: Path) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …; the start time is number 19."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def alive(process: tuple[int, str]) -> bool:
    """Whether that very process still runs."""
    with contextlib.suppress(OSError):
        found = fields(Path(f"/proc/{process[0]}"))
        return found[19] == process[1] and found[0] != "Z"
    return False


def python_for(prefix: tuple[str, ...]) -> str:
    """A Python that another user can run: this one, unless it lies where only root may enter."""
    system = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/bin")
    for candidate in filter(None, (sys.executable, system)):
        if subprocess.run([*prefix, candidate, "-c", ""], capture_output=True, check=False, cwd="/").returncode == 0:
            break
    else:
        unavailable(f"no other user can run {sys.executable}, and there is no such Python in /usr/bin")
    return candidate


@pytest.fixture(scope="module")
def home(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Folders with everything compiled; the sandbox in it is taken down at the end."""
    # A long path: sockets below the state folder would not fit into an address.
    made = Home(tmp_path_factory.mktemp("a-home-folder-with-a-long-name-" + "x" * 60))
    link_cache(node.layout, made.layout)
    yield made
    made.wtsctl("down", "--purge")


@pytest.fixture
def up(home: Home) -> Home:
    """The sandbox, up."""
    home.up()
    return home


def parts(home: Home) -> dict[str, dict[str, Any]]:
    """The components as `status` shows them."""
    return {part["name"]: part for part in home.wtsctl("status", "-o", "json").data["components"]}


def test_before_the_first_start_status_says_so(home: Home) -> None:
    """A sandbox that was never started is no error of the tool: exit code 5, one sentence, no files."""
    done = home.wtsctl("status")
    assert done.code == 5
    assert f"The sandbox '{NAME}' was never started" in done.stdout
    assert not home.layout.state.exists()


def test_it_starts(home: Home) -> None:
    """From an empty state folder to a node that takes pods, in seconds when all is compiled."""
    done = home.up()
    assert done.data["started"] is True
    assert done.data["up"] is True
    assert done.data["node"] == {"ready": True}
    assert [part["name"] for part in done.data["components"]] == list(COMPONENTS)
    assert "docker.io/wtsctl-sandbox/llamacpp:smollm2-135m" in done.data["images"]
    nodes = json.loads(home.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [item["metadata"]["labels"][config.LABEL] for item in nodes] == [NAME]


def test_a_second_up_does_nothing(up: Home) -> None:
    """It is up already: the same processes, no message, well under the time of a start."""
    before = {name: part["pid"] for name, part in parts(up).items()}
    done = up.wtsctl("up")
    assert done.code == 0
    assert done.cpu < 3, "seconds of CPU, most of them Python's start: whatever else the machine does"
    assert "done in" not in done.stderr
    assert {name: part["pid"] for name, part in parts(up).items()} == before


def test_files_are_private(up: Home) -> None:
    """The kubeconfig is an administrator's: mode 0600, in a folder of mode 0700, merged nowhere."""
    assert stat.S_IMODE(up.layout.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(up.layout.state.stat().st_mode) == 0o700
    for key in up.layout.pki.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key
    assert not (up.root / ".kube").exists()


def test_anonymous_requests_learn_only_that_it_is_alive(up: Home) -> None:
    """Without a certificate /readyz answers and everything else is refused."""
    server = urlsplit(up.wtsctl("status", "-o", "json").data["server"])
    trust = ssl.create_default_context(cafile=str(up.layout.pki / "ca.crt"))
    codes = {}
    for path in ("/readyz", "/api/v1/namespaces", "/version"):
        connection = http.client.HTTPSConnection(str(server.hostname), server.port, timeout=10, context=trust)
        with contextlib.closing(connection):
            connection.request("GET", path)
            codes[path] = connection.getresponse().status
    assert codes == {"/readyz": 200, "/api/v1/namespaces": 401, "/version": 401}


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: docker.io/wtsctl-sandbox/llamacpp:smollm2-135m
    imagePullPolicy: Never
    securityContext: {runAsUser: 1000, allowPrivilegeEscalation: false}
    command:
    - python3
    - -c
    - |
      import socket
      print("started", flush=True)
      server = socket.create_server(("", 8000))
      while True:
          client = server.accept()[0]
          client.recv(4096)
          client.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
          client.close()
    readinessProbe: {tcpSocket: {port: 8000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8000}]}
"""

ASK = """
import socket
with socket.create_connection(("web.default.svc.cluster.local", 80), 5) as client:
    client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    answer = b""
    while part := client.recv(4096):
        answer += part
print(answer.decode().splitlines()[-1])
"""


@pytest.fixture
def pod(up: Home) -> Iterator[Home]:
    """A pod behind a Service, both ready."""
    assert up.kubectl("apply", "-f", "-", text=POD).returncode == 0
    ready = up.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    assert ready.returncode == 0, ready.stderr
    yield up
    up.kubectl("delete", "--now", "-f", "-", text=POD)


def test_pods_run_and_are_reached_in_every_way(pod: Home) -> None:
    """Through the API server's proxy, by the Service's name and address from a pod; logs and exec work too."""
    proxied = until(lambda: pod.kubectl("get", "--raw", "/api/v1/namespaces/default/services/web:80/proxy/").stdout)
    assert proxied == "hello"
    asked = until(lambda: pod.kubectl("exec", "web", "--", "python3", "-c", ASK).stdout)
    assert asked == "hello\n", "a pod reaches itself through the Service, by the name that CoreDNS gives"
    assert pod.kubectl("logs", "web").stdout == "started\n"


def test_pods_live_under_the_sandboxs_cgroup(pod: Home) -> None:
    """So that `down` finds them, and no other tool's."""
    group = f"wtsctl-{pod.layout.id}"
    assert list(Path("/sys/fs/cgroup").glob(f"**/{group}/kubepods/**/pod*"))


def test_nothing_leaves_the_machine(pod: Home) -> None:
    """There is no default route inside: a pod reaches no address of the world outside."""
    program = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    done = pod.kubectl("exec", "web", "--", "python3", "-c", program)
    assert done.returncode != 0
    assert "unreachable" in done.stderr or "timed out" in done.stderr


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_killed_component_is_repaired(up: Home, name: str) -> None:
    """Kill -9 of any of them: it comes back, and `up` waits until it works."""
    victim = parts(up)[name]
    os.kill(victim["pid"], signal.SIGKILL)
    until(lambda: parts(up)[name]["restarts"] > victim["restarts"], 20)
    done = up.up()
    assert done.data["up"] is True
    assert done.data["started"] is False, "the sandbox as a whole went on"
    again = parts(up)[name]
    assert again["healthy"] is True
    assert again["pid"] != victim["pid"]


def test_status_says_what_is_down(up: Home) -> None:
    """Exit code 5 while a component is down, with its name; 0 again when it is back."""
    pid = parts(up)["kube-scheduler"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = until(lambda: (ran := up.wtsctl("status")).code and ran, 30)
        assert done.code == 5
        assert "not healthy: kube-scheduler" in done.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: up.wtsctl("status").code == 0, 30)


def test_a_kill_of_init_ends_everything_and_up_brings_the_data_back(pod: Home) -> None:
    """As after a power cut: no process of it is left, and `up` starts it again with what was stored in it."""
    report = launch.report(pod.layout)
    assert report is not None
    everything = descendants(report["pid"])
    assert len(everything) > len(COMPONENTS), "the pod's processes are among them"
    os.kill(report["pid"], signal.SIGKILL)
    until(lambda: not any(map(alive, everything)), 20)
    assert pod.wtsctl("status").code == 5
    done = pod.up()
    assert done.data["started"] is True
    ready = pod.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    assert ready.returncode == 0, ready.stderr


def test_a_lost_link_is_repaired(up: Home) -> None:
    """Whoever removes the veth pair cuts the machine off; `up` finds out and starts it again."""
    subprocess.run(["ip", "link", "delete", f"wts-{up.layout.id}"], check=True)
    done = up.up()
    assert done.data["started"] is True
    assert up.kubectl("get", "nodes").returncode == 0


def test_a_damaged_plan_is_repaired(up: Home) -> None:
    """A file that was cut off by a power cut is written anew."""
    up.layout.plan.write_text("{")
    done = up.up()
    assert done.data["started"] is True
    assert up.kubectl("get", "nodes").returncode == 0


def test_a_damaged_program_names_the_component(up: Home) -> None:
    """A start that fails says which component, shows its last lines, and leaves nothing running."""
    assert up.wtsctl("down").code == 0
    Path(up.layout.state, "etcd", "member", "snap", "db").write_bytes(b"no database")
    done = up.wtsctl("up")
    assert done.code == 4
    assert "etcd does not start" in done.stderr
    assert f"the whole log is {up.layout.logs / 'etcd.log'}" in done.stderr
    assert not launch.running(up.layout)
    assert f"wts-{up.layout.id}" not in "".join(printed("ip", "-o", "link"))
    # Its data is lost, as the test wanted; the next start begins anew.
    assert up.wtsctl("down", "--purge", "--keep-cache").code == 0
    up.up()


def test_an_interrupted_start_leaves_nothing_running(up: Home) -> None:
    """Ctrl-C while it starts: exit code 130, and what was started is stopped again."""
    assert up.wtsctl("down").code == 0
    command = [sys.executable, "-m", "wtsctl", "sandbox", "up", "--name", NAME]
    with subprocess.Popen(command, env=up.environment, cwd="/", stderr=subprocess.PIPE, text=True) as child:
        until(lambda: launch.report(up.layout))
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=SECONDS) == 130
    assert not launch.running(up.layout)
    assert f"wts-{up.layout.id}" not in "".join(printed("ip", "-o", "link"))


def test_down_keeps_the_data(up: Home) -> None:
    """What was stored is there after the next start, and `down` says where it is."""
    assert up.kubectl("create", "configmap", "kept", "--from-literal=a=b").returncode == 0
    done = up.wtsctl("down")
    assert done.code == 0
    assert f"its data is kept in {up.layout.state}" in done.stdout
    assert up.wtsctl("down").stdout.startswith(f"The sandbox '{NAME}' was not running")
    up.up()
    kept = up.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}")
    assert kept.stdout == "b"


def test_env_is_for_a_shell(up: Home) -> None:
    """What it prints makes kubectl work, evaluated once or twice."""
    line = f'eval "$({sys.executable} -m wtsctl sandbox env --name {NAME})"'
    script = f'{line}; {line}; echo "$PATH" | tr : "\\n" | grep -c {NAME}; kubectl get nodes -o name'
    done = subprocess.run(
        ["sh", "-c", script], env=up.environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\nnode/sandbox\n", done.stderr


def test_merge_adds_the_context_and_purge_takes_it_away(up: Home) -> None:
    """Only on request, into the file that kubectl would change."""
    own = up.root / "own-kubeconfig"
    home = Home(up.root, variables={"KUBECONFIG": str(own)})
    assert home.up("--merge").data["started"] is False
    kubectl = str(up.layout.state / "bin" / "kubectl")
    shown = subprocess.run(
        [kubectl, f"--kubeconfig={own}", "config", "current-context"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"wtsctl-{NAME}\n"
    assert home.wtsctl("down", "--purge", "--keep-cache").code == 0
    assert f"wtsctl-{NAME}" not in own.read_text()
    own.unlink()


def test_the_machine_is_as_it_was_after_a_purge(home: Home) -> None:
    """The processes, mounts, links, namespaces, rules, cgroups, folders and files are those from before `up`."""
    home.wtsctl("down", "--purge", "--keep-cache")
    others = other_sandboxes()
    before = machine(others)
    home.up()
    assert home.kubectl("apply", "-f", "-", text=POD).returncode == 0
    assert home.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s").returncode == 0
    report = launch.report(home.layout)
    assert report is not None
    everything = descendants(report["pid"])
    during = machine(others)
    for unchanged in ("mount", "ip netns", "nft list ruleset", "folders", "settings"):
        assert during[unchanged] == before[unchanged], f"{unchanged} changes while it is up"
    assert set(during["ip link"]) - set(before["ip link"]) == {f"wts-{home.layout.id}"}
    done = home.wtsctl("down", "--purge")
    assert done.code == 0, done.stderr
    assert not any(map(alive, everything))
    assert machine(others) == before
    assert list((home.root / "state").rglob("*")) == []
    assert list((home.root / "cache").rglob("*")) == []


@pytest.fixture
def lone(control_plane: Path, tmp_path: Path) -> Iterator[Home]:
    """Folders for a control plane without a node; no root is needed for it."""
    assert control_plane.exists(), "what it was started from is in the cache"
    made = Home(tmp_path)
    link_cache(Layout.of(), made.layout)
    yield made
    made.wtsctl("down", "--purge")


def test_a_port_in_use_is_one_clear_error(lone: Home) -> None:
    """The error names the port and how to find who has it; nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = lone.wtsctl("up", "--no-node", "--api-port", str(port))
    assert done.code == 4
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--api-port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not launch.running(lone.layout)


def test_a_port_that_is_asked_for_is_used_and_kept(lone: Home) -> None:
    """Also by later starts that do not name it; and the control plane's other ports give way."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    server = f"https://127.0.0.1:{port}"
    assert lone.up("--no-node", "--api-port", str(port)).data["server"] == server
    again = lone.up("--no-node").data
    assert (again["started"], again["server"]) == (False, server)
    assert lone.wtsctl("down").code == 0
    again = lone.up("--no-node").data
    assert (again["started"], again["server"]) == (True, server)
    other = lone.wtsctl("up")
    assert other.code == 4, "with a node it would be another cluster: down comes first"
    assert "is running without a node" in other.stderr


def test_a_killed_control_plane_is_repaired(lone: Home) -> None:
    """Without namespaces too no component outlives init, and the data stays."""
    lone.up("--no-node")
    assert lone.kubectl("create", "namespace", "kept").returncode == 0
    report = launch.report(lone.layout)
    assert report is not None
    everything = descendants(report["pid"])
    os.kill(report["pid"], signal.SIGKILL)
    until(lambda: not any(map(alive, everything)), 20)
    assert lone.up("--no-node").data["started"] is True
    assert lone.kubectl("get", "namespace", "kept").returncode == 0


def test_without_root_the_control_plane_runs(node: Cluster) -> None:
    """An ordinary user gets an API server, is told what is missing and what it costs, and can take it down."""
    require_node()
    user = 65534
    reachable = Path(tempfile.mkdtemp(prefix="wtsctl-test-"))
    # setpriv still has root's capabilities when it starts a program; the shell in between has not.
    become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    prefix = (*become, "sh", "-c", 'exec "$@"', "sh")
    python = python_for(prefix)
    home = Home(reachable, prefix, {"PYTHONPATH": ":".join(filter(None, sys.path))}, python)
    link_cache(node.layout, home.layout)
    # A link has the owner of the original, so only the folders change theirs; the files may be read by all.
    for folder in (reachable, *(path for path in reachable.rglob("*") if path.is_dir())):
        os.chown(folder, user, user)
    try:
        done = home.wtsctl("up", "-o", "json")
        assert done.code == 0, done.stderr
        assert "you are not root" in done.stderr
        assert "no pod runs" in done.stderr
        assert done.data["node"] is None
        assert home.kubectl("get", "namespaces").returncode == 0
        assert home.wtsctl("down", "--purge").code == 0
        assert not (reachable / "state" / "wtsctl").exists()
    finally:
        home.wtsctl("down")
        shutil.rmtree(reachable)
