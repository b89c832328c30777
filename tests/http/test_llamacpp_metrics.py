"""What a real llama.cpp server tells Prometheus: the metrics that alerts and dashboards ask for, and who may read."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.llamacpp import LlamaCpp, on_this_python, serving
from tests.unit.test_monitoring import panels, rules
from wtsctl.sandbox.images.payload import Payload


def test_metrics_that_are_asked_for(llamacpp_server: LlamaCpp) -> None:
    """Every metric of llama.cpp in an alert or a panel is one that the server has."""
    asked = " ".join(one["expr"] for alerts in rules().values() for one in alerts)
    asked += " ".join(target["expr"] for panel in panels() for target in panel.get("targets", []))
    named = set(re.findall(r"llamacpp:\w+", asked))
    assert len(named) == 4
    served = httpx.get(f"{llamacpp_server.url}/metrics")
    assert served.status_code == 200
    assert named <= set(re.findall(r"^(llamacpp:\w+)", served.text, re.MULTILINE))


def test_metrics_want_the_api_key(llamacpp_payload: Payload, tmp_path: Path) -> None:
    """With an API key llama.cpp guards /metrics too, so the monitor has to show it."""
    command, environment = on_this_python(llamacpp_payload, "--metrics")
    with serving(command, environment | {"LLAMA_API_KEY": "no-secret"}, tmp_path / "log") as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        shown = httpx.get(f"{server.url}/metrics", headers={"Authorization": "Bearer no-secret"})
    assert shown.status_code == 200
