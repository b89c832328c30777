"""What deploy, status and delete show of text from the cluster: no control character of it reaches a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wtsctl.cluster.discovery import DEPLOYMENT
from wtsctl.cluster.observe import Evidence
from wtsctl.cluster.remove import Fate, Target
from wtsctl.health.model import ModelHealth, Subject
from wtsctl.health.state import Phase
from wtsctl.health.wait import Progress
from wtsctl.report.delete import show_delete
from wtsctl.report.models import show_findings
from wtsctl.report.progress import ProgressView
from wtsctl.report.terminal import Terminal

if TYPE_CHECKING:
    import pytest

EVIL = "\x1b]0;owned\x07\x9b31m\u202e"


def test_nothing_from_the_cluster_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons, messages, events, logs and refusals are shown with their control characters written out."""
    subject = Subject("a", "kserve", "llm", "a", "a", 1, "a")
    health = ModelHealth(subject, Phase.LOADING, f"Reason{EVIL}", f"message{EVIL}", pod="a-1")
    terminal = Terminal()
    show_findings(terminal, [health], {"a": Evidence((f"event{EVIL}",), (f"log{EVIL}",))})
    show_delete(terminal, [Target(DEPLOYMENT, "llm", "a", "uid", fate=Fate.FAILED, note=f"refused{EVIL}")])
    ProgressView(terminal, None, lambda: f"trouble{EVIL}").show(Progress(1.0, {"a": health}, {}))
    shown = "".join(capsys.readouterr())
    for word in ("Reason", "message", "event", "log", "refused", "trouble"):
        assert rf"{word}\x1b]0;owned\x07\x9b31m\u202e" in shown
    assert not set(EVIL) & set(shown) - set("]0;owned31m")
