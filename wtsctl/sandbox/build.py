"""Compiles the sandbox's programs, once, into the cache."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.errors import SandboxError
from wtsctl.sandbox import programs, stamp, toolchain
from wtsctl.sandbox.lock import locked
from wtsctl.sandbox.programs import Group, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.sandbox.progress import Progress

# Sources, object files (twice: in the cache and in the folder that go works in) and programs while all of it is
# compiled: 6.7 GB measured at nine tenths of it (docs/explanation/sandbox.md), and room for the rest.
BUILD_BYTES = 8_500_000_000

_TAIL_LINES = 12
_NAMED = 3
_PACKAGE = re.compile(r"[\w.~+-]+(/[\w.~+-]+)*")


@dataclass(frozen=True, slots=True)
class Job:
    """Programs to compile, and the folder they go to."""

    group: Group
    programs: tuple[Program, ...]
    folder: Path


def folder(cache: Path, group: Group) -> Path:
    """Where a group's programs are cached."""
    return cache / "bin" / f"{group.name}-{group.key}"


def located(cache: Path, assets: Mapping[str, Path], *, node: bool) -> dict[str, Path]:
    """Where each needed program is or will be: in `assets` if it is there, else in the cache."""
    folders = {group: folder(cache, group) for group in programs.GROUPS}
    return {
        program.name: assets.get(program.name, home / program.name)
        for group, home in folders.items()
        for program in group.programs
        if node or not program.node
    }


def outstanding(cache: Path, assets: Mapping[str, Path], *, node: bool) -> tuple[Job, ...]:
    """What is neither in `assets` nor whole in the cache, in the order to compile it."""
    jobs = []
    for group in programs.GROUPS:
        target = folder(cache, group)
        there = stamp.whole(target) | assets.keys()
        missing = tuple(p for p in group.programs if (node or not p.node) and p.name not in there)
        if missing:
            jobs.append(Job(group, missing, target))
    return tuple(jobs)


def provided(progress: Progress) -> dict[str, Path]:
    """The programs in KUBEBUILDER_ASSETS, envtest's folder, that the sandbox can use.

    An API server or kubectl of another minor release is not: Kubernetes supports no component that is newer
    than the API server.
    """
    value = os.environ.get("KUBEBUILDER_ASSETS")
    if not value:
        return {}
    found: dict[str, Path] = {}
    wanted = programs.version("k8s.io/kubernetes").rpartition(".")[0]
    questions = {"etcd": [], "kube-apiserver": ["--version"], "kubectl": ["version", "--client"]}
    for name, question in questions.items():
        path = Path(value).absolute() / name
        if not os.access(path, os.X_OK):
            continue
        if question:
            answer = subprocess.run([path, *question], capture_output=True, text=True, check=False, timeout=30)
            release = re.search(r"v\d+\.\d+\.\d+", answer.stdout)
            if release is None or not release[0].startswith(f"{wanted}."):
                says = release[0] if release else "of an unknown release"
                progress(f"{path} is {says}, and the sandbox needs {wanted}: not used")
                continue
        found[name] = path
    return found


class Compiler:
    """Compiles what is outstanding; `cancel` ends it from another thread.

    Args:
        cache: the folder that sandboxes share.
        progress: told of each group, and how many of its packages are compiled.
    """

    def __init__(self, cache: Path, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._cancelled = False
        self._children: set[subprocess.Popen[str]] = set()
        self._totals: dict[str, int] = {}

    def cancel(self) -> None:
        """End what is running. What is compiled so far stays in Go's cache; the next run goes on from there."""
        self._cancelled = True
        for child in tuple(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def compile(self, assets: Mapping[str, Path], *, node: bool) -> None:
        """Compile what is missing; another process that does the same is waited for.

        Raises:
            SandboxError: there is no Go or no room on the disk, or the compiler failed.
        """
        if not outstanding(self._cache, assets, node=node):
            return
        with locked(self._cache / "build.lock", "another process is compiling the sandbox", self._progress):
            jobs = outstanding(self._cache, assets, node=node)
            if not jobs:
                return
            go = toolchain.find()
            check_room(self._cache)
            environment = self._environment(go)
            for leftover in (self._cache / "bin").glob(".building-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            counting = threading.Thread(target=self._count, args=(go, jobs, environment), daemon=True)
            counting.start()
            for job in jobs:
                self._build(go, job, environment)
            counting.join()
            self._clean()

    def _environment(self, go: toolchain.Go) -> dict[str, str]:
        own = self._cache / "go"
        environment = dict(os.environ)
        for name, path in (("GOMODCACHE", own / "mod"), ("GOCACHE", own / "build"), ("GOTMPDIR", own / "tmp")):
            # A user's own choice stands, and is not removed afterwards.
            environment.setdefault(name, str(path))
            Path(environment[name]).mkdir(parents=True, exist_ok=True)
        # Built as pinned, whatever flags and workspace the user works with.
        environment.update(GOFLAGS="-mod=readonly -modcacherw", GOWORK="off", GO111MODULE="on")
        if go.root is not None:
            environment["GOROOT"] = str(go.root)
        return environment

    def _count(self, go: toolchain.Go, jobs: tuple[Job, ...], environment: dict[str, str]) -> None:
        """Find how many packages each job has, for the progress; beside the compiler, since it takes a while."""
        for job in jobs:
            lines: list[str] = []
            packages = [program.package for program in job.programs]
            if self._go(go, ["list", "-deps", *packages], job.group, environment, lines.append) == 0:
                self._totals[job.group.name] = len(lines)

    def _build(self, go: toolchain.Go, job: Job, environment: dict[str, str]) -> None:
        names = _names(job.programs)
        doing = f"compile {names}"
        compiled = 0
        tail: deque[str] = deque(maxlen=_TAIL_LINES)

        def take(line: str) -> None:
            nonlocal compiled
            if line.startswith("go: downloading"):
                self._progress(line.removeprefix("go: "), doing=doing)
            elif _PACKAGE.fullmatch(line):
                compiled += 1
                total = self._totals.get(job.group.name)
                self._progress(f"{compiled:,}{f' of {total:,}' if total else ''} packages", doing=doing)
            else:
                tail.append(line)

        self._progress("starting", doing=doing)
        (self._cache / "bin").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self._cache / "bin") as temporary:
            arguments = ["build", "-v", *job.group.flags, "-o", f"{temporary}/"]
            arguments += [program.package for program in job.programs]
            if self._go(go, arguments, job.group, environment, take) != 0:
                raise self._failure(names, tail)
            built = Path(temporary)
            for program in job.programs:
                (built / program.built_as).rename(built / program.name)
            stamp.put(job.folder, built, [program.name for program in job.programs], go.version)
        self._progress("", doing=doing)

    def _go(
        self,
        go: toolchain.Go,
        arguments: list[str],
        group: Group,
        environment: dict[str, str],
        take: Callable[[str], object],
    ) -> int:
        """Run go in the module's folder, hand each line of its output to `take`, and return its exit code."""
        child = subprocess.Popen(
            [str(go.command), *arguments],
            cwd=programs.MODULE,
            env=dict(environment, CGO_ENABLED="1" if group.cgo else "0"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A session of its own, so that cancelling ends the compilers that go starts too.
            start_new_session=True,
        )
        self._children.add(child)
        if self._cancelled:
            self.cancel()
        with child:
            assert child.stdout is not None  # noqa: S101 - PIPE above; for the type checker
            for line in child.stdout:
                take(line.rstrip("\n"))
        self._children.discard(child)
        return child.returncode

    def _failure(self, names: str, tail: deque[str]) -> SandboxError:
        if any("no space left on device" in line for line in tail):
            return _full(self._cache)
        lines = "".join(f"\n    {line}" for line in tail)
        if self._cancelled:
            return SandboxError(f"compiling {names} was cancelled", hint="the next run goes on from here")
        hint = "what is compiled so far is kept, and the next run goes on from there"
        if any("libseccomp" in line or '"gcc"' in line for line in tail):
            hint = "runc needs a C compiler, pkg-config and the headers of libseccomp (Debian: libseccomp-dev)"
        elif any(mark in line for line in tail for mark in ("dial tcp", "no such host", "proxyconnect", "timeout")):
            hint = "the sources come through the Go module proxy (GOPROXY); check the network"
        return SandboxError(f"compiling {names} failed:{lines}", hint=hint)

    def _clean(self) -> None:
        """Remove Go's own caches, unless they are the user's."""
        own = self._cache / "go"
        size = sum(path.lstat().st_size for path in own.rglob("*") if path.is_file())
        shutil.rmtree(own, ignore_errors=True)
        if size:
            self._progress(f"removed the compiler's caches ({size / 1e9:.1f} GB)")


def _names(found: tuple[Program, ...]) -> str:
    """A few programs by name, and more by number."""
    return ", ".join(program.name for program in found) if len(found) <= _NAMED else f"{len(found)} programs"


def check_room(cache: Path) -> None:
    """Refuse to start compiling what cannot be finished.

    Raises:
        SandboxError: the file system of the cache has too little room.
    """
    cache.mkdir(parents=True, exist_ok=True)
    held = sum(path.lstat().st_size for path in (cache / "go").rglob("*") if path.is_file())
    if shutil.disk_usage(cache).free + held < BUILD_BYTES:
        raise _full(cache)


def _full(cache: Path) -> SandboxError:
    free = shutil.disk_usage(cache).free
    return SandboxError(
        f"not enough room to compile the sandbox: it takes {BUILD_BYTES / 1e9:.1f} GB while it compiles, and "
        f"{free / 1e9:.1f} GB are free in {cache}",
        hint="free some space, or set XDG_CACHE_HOME to a folder on a larger disk; what is compiled so far is kept",
    )
