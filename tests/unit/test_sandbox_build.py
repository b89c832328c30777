"""Compiling: what is missing, what is provided, and what stops it. The compiler is the real one where it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox import build, programs, stamp
from wtsctl.sandbox.build import Compiler, located, outstanding, provided
from wtsctl.sandbox.programs import RUNC, STATIC

NODE_ONLY = {program.name for group in programs.GROUPS for program in group.programs if program.node}
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")


def fill(cache: Path, *but: str) -> None:
    """Put something in place of each program, but not of these."""
    for group in programs.GROUPS:
        built = cache / "built"
        built.mkdir(parents=True, exist_ok=True)
        names = [program.name for program in group.programs if program.name not in but]
        for name in names:
            (built / name).write_text(name)
        stamp.put(build.folder(cache, group), built, names, "go1.26.8")


def missing(cache: Path, *, node: bool = True, assets: dict[str, Path] | None = None) -> set[str]:
    """The names of what would be compiled."""
    return {program.name for job in outstanding(cache, assets or {}, node=node) for program in job.programs}


class Said:
    """Keeps what progress was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str, *, doing: str = "") -> None:
        """Keep one message."""
        self.lines.append(f"{doing}: {text}" if doing else text)


def test_an_empty_cache_lacks_everything(tmp_path: Path) -> None:
    """The control plane alone needs five programs, and none of the node's."""
    alone = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"}
    assert missing(tmp_path, node=False) == alone
    assert missing(tmp_path) == alone | NODE_ONLY


def test_a_full_cache_lacks_nothing(tmp_path: Path) -> None:
    """Nothing is compiled twice, and without work there is no need for a compiler."""
    fill(tmp_path)
    assert missing(tmp_path) == set()
    Compiler(tmp_path, Said()).compile({}, node=True)


def test_a_half_built_cache_lacks_the_other_half(tmp_path: Path) -> None:
    """What was not finished, was cut off or was removed is compiled again; the rest is kept."""
    fill(tmp_path, "coredns")
    folder = build.folder(tmp_path, STATIC)
    (folder / "kubelet").write_text("cut")
    (build.folder(tmp_path, RUNC) / "runc").unlink()
    assert missing(tmp_path) == {"coredns", "kubelet", "runc"}
    assert missing(tmp_path, node=False) == set()


def test_programs_are_located_before_they_exist(tmp_path: Path) -> None:
    """A plan can be made, and compared with the one that runs, without compiling."""
    where = located(tmp_path, {"etcd": Path("/assets/etcd")}, node=True)
    assert where["etcd"] == Path("/assets/etcd")
    assert where["runc"] == build.folder(tmp_path, RUNC) / "runc"
    assert located(tmp_path, {}, node=False).keys().isdisjoint(NODE_ONLY)


def assets(folder: Path, **versions: str) -> Path:
    """A folder of programs that print these versions."""
    folder.mkdir()
    for name, version in versions.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\necho Kubernetes {version}\n")
        program.chmod(0o755)
    return folder


def test_kubebuilder_assets_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has envtest's programs compiles the others only."""
    release = programs.version("k8s.io/kubernetes")
    folder = assets(tmp_path / "assets", etcd="", kube_apiserver=release, kubectl=release)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    said = Said()
    found = provided(said)
    assert found == {name: folder / name for name in ("etcd", "kube-apiserver", "kubectl")}
    assert said.lines == []
    assert missing(tmp_path, node=False, assets=found) == {"kube-controller-manager", "kube-scheduler"}


def test_an_api_server_of_another_release_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes supports no controller manager that is newer than the API server; the reason is said."""
    folder = assets(tmp_path / "assets", etcd="", kube_apiserver="v1.31.0", kubectl="nonsense")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    said = Said()
    assert provided(said) == {"etcd": folder / "etcd"}
    assert f"{folder}/kube-apiserver is v1.31.0" in said.lines[0]
    assert f"{folder}/kubectl is of an unknown release" in said.lines[1]


def test_no_or_empty_assets_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable may be unset, or name a folder that has none of them."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    assert provided(Said()) == {}
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert provided(Said()) == {}


@needs_go
def test_what_is_missing_is_compiled(tmp_path: Path) -> None:
    """With the real compiler: one program is missing, is made, runs, and the compiler's caches are gone."""
    fill(tmp_path, "pause")
    said = Said()
    Compiler(tmp_path, said).compile({}, node=True)
    assert missing(tmp_path) == set()
    pause = build.folder(tmp_path, STATIC) / "pause"
    with subprocess.Popen([pause]) as child:
        # The process is there before its signal handlers are.
        time.sleep(0.3)
        child.terminate()
        assert child.wait(timeout=5) == 0
    assert not (tmp_path / "go").exists()
    assert not list((tmp_path / "bin").glob(".*"))
    assert any(line.startswith("compile pause: ") and "packages" in line for line in said.lines)


@needs_go
def test_what_does_not_compile_shows_the_compilers_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines of the compiler are in the error, and what there was before still is."""
    fill(tmp_path, "pause")
    # A proxy that answers nothing, and no sources on this machine: `pause` needs none, `coredns` does.
    (build.folder(tmp_path, STATIC) / "coredns").unlink()
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "mod"))
    with pytest.raises(SandboxError, match="compiling coredns, pause failed") as caught:
        Compiler(tmp_path, Said()).compile({}, node=True)
    assert "127.0.0.1:9" in str(caught.value)
    assert "GOPROXY" in str(caught.value)
    assert missing(tmp_path) == {"coredns", "pause"}


@needs_go
def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    """Two starts at once compile once: the second says that it waits, and then finds everything there."""
    fill(tmp_path, "pause")
    program = (
        "import sys, pathlib\n"
        "from wtsctl.sandbox.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), '', print):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "build.lock")]
    said = Said()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        thread = threading.Thread(target=lambda: Compiler(tmp_path, said).compile({}, node=True))
        thread.start()
        deadline = time.monotonic() + 10
        while not said.lines and time.monotonic() < deadline:
            time.sleep(0.02)
        assert said.lines == ["another process is compiling the sandbox: waiting for it"]
        fill(tmp_path)
        other.stdin.write("\n")
    thread.join(timeout=10)
    assert len(said.lines) == 1, "the other process had compiled it meanwhile"


@needs_go
def test_cancelling_ends_the_compiler(tmp_path: Path) -> None:
    """Ctrl-C ends the compiler and all that it started; nothing half-built is taken for whole."""
    fill(tmp_path, "pause")
    said = Said()
    compiler = Compiler(tmp_path, said)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            compiler.compile({}, node=True)
        except SandboxError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 20
    while not any("packages" in line for line in said.lines) and time.monotonic() < deadline:
        time.sleep(0.01)
    compiler.cancel()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert "was cancelled" in str(failures[0])
    assert missing(tmp_path) == {"pause"}
    assert (tmp_path / "go" / "build").is_dir(), "the next run goes on from there"


FULL = """
import sys
from pathlib import Path
from wtsctl.errors import SandboxError
from wtsctl.sandbox.build import Compiler
try:
    Compiler(Path(sys.argv[1]), lambda text, doing="": None).compile({}, node=False)
except SandboxError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@needs_go
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    """The error says how much is needed, how much is free, and where; the disk is left as it was."""
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && "$2" -c "$3" "$1"; code=$?; ls -A "$1"; exit $code'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable, FULL]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 4, answer.stderr
    assert "not enough room to compile the sandbox: it takes 8.5 GB" in answer.stdout
    assert f"0.0 GB are free in {tmp_path}" in answer.stdout
    assert "XDG_CACHE_HOME" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "build.lock", "and nothing else"
