"""How a cause is shown: where it stands, who owns it, how soon it was told, and what to do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from wtsctl.cluster.observe import Evidence
from wtsctl.health.model import ModelHealth, Subject
from wtsctl.health.pod import Cause, PodHealth
from wtsctl.health.signatures import find
from wtsctl.health.state import Phase
from wtsctl.health.wait import Progress, Verdict
from wtsctl.report.models import findings, hint
from wtsctl.report.progress import ProgressView
from wtsctl.report.terminal import Terminal

if TYPE_CHECKING:
    import pytest

SUBJECT = Subject("granite", "vllm", "llm", "granite", "granite", 2, "granite")
CAUSE = Cause("CrashLoopBackOff", "container server exited with code 1, 2 restarts", "server", crashed=True)
FAILED = ModelHealth(
    SUBJECT,
    Phase.STARTING,
    CAUSE.reason,
    CAUSE.message,
    CAUSE,
    pod="granite-1-a",
    pods=tuple(
        PodHealth(f"granite-1-{name}", Phase.STARTING, ready=False, restarts=2, reason=CAUSE.reason) for name in "ab"
    ),
    chain=("Deployment/granite", "ReplicaSet/granite-1", "Pod/granite-1-a", "container server"),
)


def test_a_cause_with_all_that_is_known() -> None:
    """One cause for all its pods: its owners, the seconds, the event, the log of the run before, and what it means."""
    log = ("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",)
    evidence = Evidence(("BackOff: Back-off restarting failed container",), log, previous=True, match=find(log, ()))
    assert findings([FAILED], {"granite": evidence}, {"granite": 2.34}) == [
        (
            "granite: CrashLoopBackOff: container server exited with code 1, 2 restarts "
            "(pod granite-1-a, container server)"
        ),
        "    owned by: Deployment/granite > ReplicaSet/granite-1 > Pod/granite-1-a > container server (2 of 2 pods)",
        "    noticed: 2.3 s after the cluster said so",
        "    event: BackOff: Back-off restarting failed container",
        "    previous log:",
        f"      {log[0]}",
        "    hint: the GPU is too old for bfloat16: add `--dtype=half` to `args`",
    ]


def test_a_hint_without_a_known_line() -> None:
    """Otherwise the reason has a hint of its own; KServe's download another one than a server's memory."""
    assert "--previous" in hint(FAILED, Evidence(log=("something else",)))
    memory = dataclasses.replace(CAUSE, reason="OOMKilled", container="storage-initializer")
    assert "ClusterStorageContainer" in hint(dataclasses.replace(FAILED, reason="OOMKilled", cause=memory))
    assert "maxModelLen" in hint(dataclasses.replace(FAILED, reason="OOMKilled"))


def test_a_wait_without_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """A line at each change: how long the last start took at first, and of a failure how soon it was told."""
    view = ProgressView(Terminal(), None, lambda: "", {"granite": 432.0})
    loading = ModelHealth(SUBJECT, Phase.LOADING, "Loading", "the startup probe has not passed yet")
    view.show(Progress(1.0, {"granite": loading}, {}))
    view.show(Progress(2.0, {"granite": loading}, {}))
    view.show(Progress(61.0, {"granite": dataclasses.replace(loading, phase=Phase.ANSWERS, reason="Asked")}, {}))
    view.show(Progress(70.0, {"granite": FAILED}, {"granite": Verdict.FAILED}, {"granite": 3.21}))
    assert capsys.readouterr().err.splitlines() == [
        "[1s] granite: loading (the last start took 7m12s)",
        "[61s] granite: answers",
        "[70s] granite: failed: CrashLoopBackOff, 3.2 s after the cluster said so",
    ]
