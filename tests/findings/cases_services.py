"""Cases of the areas 4, 5 and 7 to 9: Services, KServe, Llama Stack, prompts, arguments, scaling."""

from __future__ import annotations

from tests.findings.base import GONE, POD, PREDICTOR, Case, Edit

_LARGE = "llama-70b"
_GUARD = "llama-guard"
_KSERVE = "granite-8b"
_PORTS = ("spec", "ports")
_ONE_PORT = {"name": "http", "port": 8000, "targetPort": "http"}
_SMOKE = "  smoke:\n  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}\n"
_RESTRICTED = (("models:\n- name", "platform: {podSecurity: restricted}\nmodels:\n- name"),)
_SAFE = "assert: [{icontains: safe}]}\n"


def _guard(line: str) -> tuple[tuple[str, str], ...]:
    """A further key for the guard."""
    return (("  role: safety\n", f"  role: safety\n  {line}\n"),)


def _quota(hard: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """A ResourceQuota of the user's own."""
    listed = ", ".join(f'"{key}": "{value}"' for key, value in hard.items())
    doc = (
        f"{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: q, namespace: llm}}, spec: {{hard: {{{listed}}}}}}}"
    )
    return (("llamaStack:\n", f"extra:\n- {doc}\nllamaStack:\n"),)


CASES = (
    Case("WTS401", _guard("service: {name: vllm}"), "vllm}", "makes Kubernetes set VLLM_PORT, which vLLM reads"),
    Case("WTS401", _guard("service: {name: master}"), "master}", "MASTER_PORT", name="torch"),
    Case("WTS401", _guard("service: {name: vllm-guard}"), name="longer"),
    Case(
        "WTS402",
        edits=(Edit("Deployment", _GUARD, (*POD, "enableServiceLinks"), GONE),),
        at="name: llama-guard",
        says="variables for every Service",
    ),
    Case("WTS402", edits=(Edit("Deployment", _GUARD, (*POD, "hostNetwork"), False),), name="off"),
    Case(
        "WTS403",
        edits=(Edit("Service", _GUARD, _PORTS, [_ONE_PORT, {**_ONE_PORT, "port": 8001}]),),
        at="name: llama-guard",
        says="its port 'http' is there twice",
    ),
    Case(
        "WTS403",
        edits=(Edit("Service", _GUARD, _PORTS, [_ONE_PORT, {**_ONE_PORT, "name": "again"}]),),
        at="name: llama-guard",
        says="its port 8000 is there twice",
        name="number",
    ),
    Case(
        "WTS403",
        edits=(Edit("Service", _GUARD, _PORTS, [_ONE_PORT, {**_ONE_PORT, "name": "other", "port": 8001}]),),
        name="two-ports",
    ),
    Case(
        "WTS404",
        edits=(Edit("Service", _GUARD, ("spec", "selector"), {"app.kubernetes.io/managed-by": "wtsctl"}),),
        at="name: llama-guard",
        says="it leads to the pods of 3 objects",
    ),
    Case("WTS404", _guard("replicas: 2"), name="replicas"),
    Case(
        "WTS405",
        edits=(Edit("Service", _GUARD, ("spec", "selector", "tier"), "gold"),),
        at="name: llama-guard",
        says="matches the pods of no rendered object",
    ),
    Case(
        "WTS405",
        edits=(
            Edit("Service", _GUARD, ("spec", "selector", "tier"), "gold"),
            Edit("Deployment", _GUARD, ("spec", "template", "metadata", "labels", "tier"), "gold"),
        ),
        name="labelled",
    ),
    Case(
        "WTS406",
        edits=(Edit("Service", _GUARD, (*_PORTS, 0, "targetPort"), "metrics"),),
        at="name: llama-guard",
        says="leads to metrics, which no container of",
    ),
    Case("WTS406", edits=(Edit("Service", _GUARD, (*_PORTS, 0, "targetPort"), 8000),), name="by-number"),
    Case(
        "WTS407", _guard("args: [--port, '9000']"), "name: llama-guard", "listens on 9000", also=frozenset({"WTS801"})
    ),
    Case("WTS407", _guard("args: [--port=8000]"), also=frozenset({"WTS801"}), name="same"),
    Case(
        "WTS501",
        edits=(Edit("InferenceService", _KSERVE, (*PREDICTOR, "model", "readinessProbe"), GONE),),
        at="name: granite-8b",
        says="a TCP connect",
    ),
    Case(
        "WTS501",
        edits=(
            Edit(
                "InferenceService",
                _KSERVE,
                (*PREDICTOR, "model", "startupProbe", "httpGet", "path"),
                "/v2/health/ready",
            ),
        ),
        at="name: granite-8b",
        says="asks /v2/health/ready",
        name="health",
    ),
    Case(
        "WTS501",
        edits=(
            Edit(
                "InferenceService",
                _KSERVE,
                (*PREDICTOR, "model", "readinessProbe", "httpGet", "path"),
                "/openai/v1/models/granite-8b",
            ),
        ),
        name="own-route",
    ),
    Case(
        "WTS502",
        edits=(Edit("InferenceService", _KSERVE, (*PREDICTOR, "serviceAccountName"), GONE),),
        at="name: granite-8b",
        says="does not get the token",
    ),
    Case(
        "WTS502",
        (("secrets:\n  huggingface: {name: hf, key: HF_TOKEN}\n", ""),),
        also=frozenset({"WTS305"}),
        name="no-token",
    ),
    Case(
        "WTS503",
        _RESTRICTED,
        "name: granite-8b",
        "the init container for hf://ibm-granite/granite-3.1-8b-instruct has no securityContext",
    ),
    Case("WTS503", (*_RESTRICTED, ("role: code", "role: code\n  kserve: {downloadBy: server}")), name="server"),
    Case("WTS503", (*_RESTRICTED, ("podSecurity: restricted", "podSecurity: baseline")), name="baseline"),
    Case(
        "WTS503",
        (*_RESTRICTED, ("model: ibm-granite/", "model: pvc://weights/")),
        also=frozenset({"WTS106"}),
        name="volume",
    ),
    Case(
        "WTS511",
        (("llamastack/distribution-starter:0.7.3", "ogx/distribution-starter:1.0.2"),),
        "llama-guard",
        "has no safety API",
        name="version",
    ),
    Case("WTS511", (("distribution-starter:0.7.3", "distribution-starter:0.7.2"),), name="older"),
    Case(
        "WTS512",
        (("distribution-starter:0.7.3", "distribution-starter:0.2.12"),),
        "llamaStack",
        "reads another form",
        also=frozenset(),
    ),
    Case("WTS512", (("distribution-starter:0.7.3", "distribution-starter:0.6.1"),), name="same-form"),
    Case(
        "WTS513",
        edits=(
            Edit(
                "ConfigMap",
                "llamastack-server-config",
                ("data", "config.yaml"),
                "providers: {inference: [{provider_id: x, provider_type: 'remote::vllm', "
                "config: {base_url: 'http://vllm-granite.llm.svc:8000/v1'}}]}",
            ),
        ),
        at="llamaStack",
        says="provider x speaks to vllm-granite in llm",
        # A configuration that registers no models answers to none.
        also=frozenset({"WTS603"}),
    ),
    Case(
        "WTS513",
        edits=(
            Edit(
                "ConfigMap",
                "llamastack-server-config",
                ("data", "config.yaml"),
                "providers: {inference: [{provider_id: x, provider_type: 'remote::vllm', "
                "config: {base_url: 'http://vllm.elsewhere.svc:8000/v1'}}]}",
            ),
        ),
        also=frozenset({"WTS603"}),
        name="other-namespace",
    ),
    Case(
        "WTS701",
        (
            ("prompt: Say hello., assert", "prompt: Say hello., maxTokens: 1, assert"),
            ("{metric: total, max: 2s}", "{metric: tpot, max: 2s}"),
        ),
        "{metric: tpot",
        "cut after one token",
    ),
    Case("WTS701", (("{metric: total, max: 2s}", "{metric: tpot, max: 2s}"),), name="longer"),
    Case("WTS702", (("{metric: total, max", "{metric: total, stat: p90, max"),), "{metric: total", "takes 29 requests"),
    Case("WTS702", (("{metric: total, max", "{metric: total, stat: max, max"),), name="largest"),
    Case("WTS703", ((_SMOKE + "- name: llama-guard", "- name: llama-guard"),), "name: granite", "nothing checks"),
    Case("WTS703", ((_SAFE, "assert: [{icontains: unsafe}]}\n"),), name="asked"),
    Case("WTS801", _guard("args: [--max-model-len=4096]"), "--max-model-len", "is what `maxModelLen` is for"),
    Case("WTS801", _guard("args: [--max_model_len, '4096']"), "--max_model_len", name="underscores"),
    Case("WTS801", _guard("args: [--enable-prefix-caching]"), name="no-key"),
    Case(
        "WTS802",
        _guard("args: [--tool-call-parser, llama3_json]"),
        "name: llama-guard",
        "without --enable-auto-tool-choice",
        also=frozenset({"WTS801"}),
    ),
    Case(
        "WTS802",
        _guard("args: [--enable-auto-tool-choice]"),
        "name: llama-guard",
        "refuses to start",
        also=frozenset({"WTS801"}),
        name="no-parser",
    ),
    Case(
        "WTS802",
        _guard("args: [--enable-auto-tool-choice, --tool-call-parser, llama3_json]"),
        also=frozenset({"WTS801"}),
        name="both",
    ),
    Case(
        "WTS803",
        _guard("args: [--enable-auto-tool-choice, --tool-call-parser, llama9]"),
        "name: llama-guard",
        "'llama9' is none of vLLM's tool call parsers",
        also=frozenset({"WTS801"}),
    ),
    Case(
        "WTS803",
        (
            (
                "parallel: {tensor: 4}",
                "parallel: {tensor: 4}\n  args: [--enable-auto-tool-choice, --tool-call-parser, granite]",
            ),
        ),
        "name: llama-70b",
        "does not write its calls as 'granite' reads them",
        also=frozenset({"WTS801"}),
        name="family",
    ),
    Case(
        "WTS803",
        (
            (
                "parallel: {tensor: 4}",
                "parallel: {tensor: 4}\n  args: [--enable-auto-tool-choice, --tool-call-parser, llama3_json]",
            ),
        ),
        also=frozenset({"WTS801"}),
        name="fits",
    ),
    Case("WTS804", (("70B-Instruct", "70B"),), "name: llama-70b", "is a base model"),
    Case(
        "WTS804",
        (("meta-llama/Llama-3.1-70B-Instruct", "Qwen/Qwen3-8B-Base"),),
        also=frozenset({"WTS106"}),
        name="base-with-a-template",
    ),
    Case(
        "WTS804",
        (
            ("70B-Instruct", "70B"),
            ("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  args: [--chat-template, /t.jinja]"),
        ),
        also=frozenset({"WTS801"}),
        name="given",
    ),
    Case("WTS805", _guard("args: [--trust-remote-code]"), "--trust", "run inside the server"),
    Case("WTS805", _guard("args: [--trust-remote-code=false]"), name="switched-off"),
    Case(
        "WTS901",
        _guard("autoscale: {max: 2, by: hpa}"),
        edits=(Edit("Deployment", _GUARD, ("spec", "replicas"), 1),),
        at="name: llama-guard",
        says="each deploy sets it back",
    ),
    Case("WTS901", _guard("autoscale: {max: 2, by: hpa}"), name="left-out"),
    Case(
        "WTS902", _quota({"requests.nvidia.com/gpu": "5"}), "{apiVersion", "allows 5 of requests.nvidia.com/gpu in llm"
    ),
    Case("WTS902", _quota({"limits.memory": "95Gi"}), "{apiVersion", "take 96Gi", name="memory"),
    Case("WTS902", _quota({"requests.nvidia.com/gpu": "6", "limits.memory": "96Gi", "pods": "3"}), name="enough"),
    Case(
        "WTS903",
        edits=(Edit("PodDisruptionBudget", _GUARD, ("spec", "maxUnavailable"), 0),),
        at="name: llama-guard",
        says="it allows none of 1 pod to be stopped",
    ),
    Case("WTS903", edits=(Edit("PodDisruptionBudget", _GUARD, ("spec", "maxUnavailable"), 1),), name="one"),
)
