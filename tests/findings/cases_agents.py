"""Cases of area 6, and of the network between agents and models."""

from __future__ import annotations

import json

from tests.findings.base import GONE, Case, Edit

_ONLY_GRANITE = ("models: [llama-70b, granite-8b]", "models: [granite-8b]")
_OFF = ("  safety: llama-guard\nagents", "  safety: llama-guard\n  enabled: false\nagents")
_DIRECT = ("via: llama-stack", "via: direct")
_STACK = "llamastack-server.llama-stack.svc.cluster.local:8321"
_ENV = ("spec", "template", "spec", "containers", 0, "env")
_CLOSED = (
    "platform: {networkPolicy: {mode: 'on', apiServer: [10.0.0.1/32]}, monitoring: {monitors: 'off', rules: 'off'}}"
)
_WITH_MONITORS = "platform: {networkPolicy: {mode: 'on', apiServer: [10.0.0.1/32]}}"
_WITH_PROMETHEUS = "platform: {networkPolicy: {mode: 'on', monitoring: prometheus, apiServer: [10.0.0.1/32]}}"
_POLICIES = (("models:\n- name", f"{_CLOSED}\nmodels:\n- name"),)


def _asks(name: str, host: str) -> tuple[Edit, ...]:
    """The agent's environment as somebody's template writes it."""
    asked = [
        {"name": "INFERENCE_MODEL", "value": name},
        {"name": "INFERENCE_ENDPOINT", "value": f"http://{host}/v1"},
        {"name": "MODEL_ENDPOINTS", "value": json.dumps({name: f"http://{host}/v1"})},
    ]
    return (Edit("Deployment", "chat-agent", _ENV, asked),)


def _exposed(line: str) -> tuple[tuple[str, str], ...]:
    return (("  role: safety\n", f"  role: safety\n  {line}\n"),)


_KEY = "apiKey: {name: guard-key, key: key}"

CASES = (
    Case("WTS601", (_ONLY_GRANITE,), "llama-70b", "'llama-70b' is asked at its own server, around Llama Stack"),
    Case("WTS601", (_ONLY_GRANITE, ("  fallback: llama-70b\n", "")), name="no-fallback"),
    Case(
        "WTS601",
        (_ONLY_GRANITE, ("  fallback: llama-70b\n", ""), ("conversation: granite-8b", "conversation: llama-70b")),
        "llama-70b",
        name="task",
    ),
    Case("WTS601", (("conversation: granite-8b", "conversation: granite"),), name="alias"),
    Case(
        "WTS602", (("  safety: llama-guard\n  tasks", "  tasks"),), "name: chat-agent", "llama-guard could check them"
    ),
    Case("WTS602", (("  safety: llama-guard\n  tasks", "  safety: llama-guard\n  rag: false\n  tasks"),), name="set"),
    Case("WTS603", at="granite-8b", says="asks", edits=_asks("granite-8b", _STACK)),
    Case("WTS603", edits=_asks("granite-8b/granite-8b", _STACK), name="prefixed"),
    Case(
        "WTS603",
        at="granite-8b",
        says="for 'granite'",
        edits=_asks("granite", "granite-8b-predictor.llm.svc"),
        name="kserve-alias",
    ),
    Case("WTS603", edits=_asks("llama-70b", "llama-70b.llm.svc.cluster.local:8000"), name="own-server"),
    Case(
        "WTS603",
        at="name: chat-agent",
        says="no such Service",
        edits=_asks("llama-70b", "vllm-70b.llm.svc:8000"),
        name="no-service",
    ),
    # The Service is there, and WTS405 says that it leads nowhere.
    Case(
        "WTS603",
        edits=(
            *_asks("llama-70b", "llama-70b.llm.svc.cluster.local:8000"),
            Edit("Deployment", "llama-70b", ("kind",), "ConfigMap"),
        ),
        also=frozenset({"WTS405"}),
        name="without-pods",
    ),
    Case("WTS603", edits=_asks("llama-70b", "llama.example.com"), name="elsewhere"),
    Case("WTS604", (("safety_check: llama-guard", "safety_check: granite-8b"),), "granite-8b", "has role code"),
    Case(
        "WTS604",
        (("conversation: granite-8b", "conversation: llama-guard"),),
        "llama-guard",
        "with `safe`",
        name="guard",
    ),
    Case("WTS604", (("safety_check: llama-guard", "review: granite-8b"),), name="other-task"),
    Case(
        "WTS605",
        (_DIRECT, ("{conversation: granite-8b, safety_check: llama-guard}", "{conversation: granite-8b}")),
        "llama-guard",
        "none of its tasks",
    ),
    Case("WTS605", (_DIRECT,), name="has-the-task"),
    Case("WTS606", (_OFF,), "false", "chat-agent would go through it"),
    Case("WTS606", (_OFF, _DIRECT), name="direct"),
    Case(
        "WTS411",
        _POLICIES,
        "networkPolicy",
        "'Llama Stack' in llama-stack asks llm/Deployment/llama-guard",
        (Edit("NetworkPolicy", "llama-guard", ("spec", "ingress", 0, "from"), [{"ipBlock": {"cidr": "10.0.0.0/8"}}]),),
    ),
    Case(
        "WTS411",
        (*_POLICIES, _DIRECT, ("models: [llama-70b, granite-8b]\n  safety: llama-guard", "models: [llama-70b]")),
        "networkPolicy",
        "'chat-agent' in workshop asks llm/InferenceService/granite-8b",
        (
            Edit(
                "NetworkPolicy",
                "granite-8b",
                ("spec", "ingress", 0, "from"),
                [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}}],
            ),
        ),
        name="agent",
    ),
    Case("WTS411", _POLICIES, name="as-rendered"),
    Case(
        "WTS411",
        _POLICIES,
        edits=(Edit("NetworkPolicy", "llama-guard", ("spec", "ingress", 0, "from"), GONE),),
        name="everybody",
    ),
    Case(
        "WTS412",
        (("models:\n- name", f"{_WITH_MONITORS}\nmodels:\n- name"),),
        "networkPolicy",
        "Prometheus is to read",
    ),
    Case(
        "WTS412",
        (("models:\n- name", f"{_WITH_PROMETHEUS}\nmodels:\n- name"),),
        name="named",
    ),
    Case(
        "WTS413",
        _exposed(f"expose: {{kind: Route}}\n  {_KEY}"),
        "expose",
        "unencrypted",
        (Edit("Route", "llama-guard", ("spec", "tls"), GONE),),
    ),
    Case(
        "WTS413",
        (("  safety: llama-guard\nagents", "  safety: llama-guard\n  expose: {kind: Route, host: a.example}\nagents"),),
        "expose",
        edits=(Edit("Route", "llamastack-server", ("spec", "tls"), GONE),),
        also=frozenset({"WTS414"}),
        name="llama-stack",
    ),
    Case("WTS413", _exposed(f"expose: {{kind: Route}}\n  {_KEY}"), name="edge"),
    Case(
        "WTS414", _exposed("expose: {kind: Route, host: llm.example.com}"), "expose", "whoever reaches llm.example.com"
    ),
    Case("WTS414", _exposed(f"expose: {{kind: Route, host: llm.example.com}}\n  {_KEY}"), name="key"),
)
