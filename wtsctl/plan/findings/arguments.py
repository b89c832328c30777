"""Findings about the arguments of the servers: what contradicts the catalog, and what vLLM refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wtsctl.catalog.model import Runtime
from wtsctl.plan.findings.pods import Container, Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

_VLLM_KEYS: dict[str, str] = {
    "--model": "model",
    "--served-model-name": "name and aliases",
    "--model-name": "name",
    "--host": "service",
    "--port": "service.port",
    "--tensor-parallel-size": "parallel.tensor",
    "-tp": "parallel.tensor",
    "--pipeline-parallel-size": "parallel.pipeline",
    "-pp": "parallel.pipeline",
    "--max-model-len": "maxModelLen",
    "--dtype": "dtype",
    "--quantization": "quantization",
    "-q": "quantization",
    "--kv-cache-dtype": "kvCacheDtype",
    "--gpu-memory-utilization": "gpuMemoryUtilization",
    "--max-num-seqs": "maxNumSeqs",
    "--chat-template": "chatTemplate",
    "--enable-auto-tool-choice": "toolCalling",
    "--tool-call-parser": "toolCalling.parser",
    "--reasoning-parser": "reasoningParser",
    "--enable-lora": "lora",
    "--lora-modules": "lora.adapters",
    "--max-lora-rank": "lora.maxRank",
    "--api-key": "apiKey",
}
_LLAMACPP_KEYS: dict[str, str] = {
    "--model": "model",
    "-m": "model",
    "--alias": "name and aliases",
    "-a": "name and aliases",
    "--host": "service",
    "--port": "service.port",
    "--ctx-size": "maxModelLen",
    "-c": "maxModelLen",
    "--threads": "threads",
    "-t": "threads",
    "--api-key": "apiKey",
}
# github.com/vllm-project/vllm, vllm/tool_parsers/__init__.py of November 2026 (commit 0064cc9).
_PARSERS = frozenset(
    (
        "apertus", "cohere_command3", "cohere_command4", "deepseek_v3", "deepseek_v31", "deepseek_v32",
        "deepseek_v4", "ernie45", "functiongemma", "gemma4", "gigachat3", "glm45", "glm47", "granite",
        "granite-20b-fc", "granite4", "hermes", "hunyuan_a13b", "hy_v3", "inkling", "internlm", "jamba",
        "kimi_k2", "kimi_k3", "lfm2", "llama3_json", "llama4_json", "llama4_pythonic", "longcat", "mimo",
        "minicpm5", "minimax_m2", "minimax_m3", "mistral", "olmo3", "openai", "phi4_mini_json",
        "poolside_v1", "pythonic", "qwen3_coder", "qwen3_xml", "seed_oss", "solar_open2", "step3",
        "step3p5", "xlam",
    )
)  # fmt: skip
# What the models of a family write when they call a tool: docs.vllm.ai, Tool Calling.
_FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    (r"watt-tool", frozenset(("pythonic", "llama3_json"))),
    (r"llama-4", frozenset(("llama4_pythonic", "llama4_json", "pythonic"))),
    (r"llama-3\.[123].*instruct", frozenset(("llama3_json", "llama4_json", "pythonic"))),
    (r"granite-4", frozenset(("granite4", "granite", "hermes"))),
    (r"granite-3.*instruct", frozenset(("granite", "granite4"))),
    (r"granite-20b-functioncalling", frozenset(("granite-20b-fc",))),
    (r"mi[sx]tral.*instruct", frozenset(("mistral",))),
    (r"qwen2\.5.*instruct|qwq|hermes-[23]", frozenset(("hermes",))),
)
# Models without a chat template in their repository: trained on text alone, before any instruction. The suffix -Base
# does not tell: Qwen3's base models, for one, bring a template.
_BASE = re.compile(
    r"(?i)(?:^|/)(?:meta-)?llama-3[^/]*\d+b$|(?:^|/)(?:opt-[\d.]+[bm]|gpt2[^/]*|phi-2)$"
    r"|(?:^|/)mi[sx]tral-\w+-v0\.\d$"
)


def _dashed(word: str) -> str:
    # KServe's server takes `--model_name`, and vLLM `--max_model_len`.
    return word.partition("=")[0].replace("_", "-") if word.startswith("--") else word


def _overriding(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        keys = _LLAMACPP_KEYS if workload.spec.runtime is Runtime.LLAMACPP else _VLLM_KEYS
        for at, word in enumerate(workload.spec.args):
            key = keys.get(_dashed(word))
            if key is not None:
                yield Hit(
                    (*path, "args", at),
                    f"{word.partition('=')[0]} is what `{key}` is for; the server takes this one",
                    f"say it with `{key}` and leave the argument out",
                )


def _vllm(subject: Subject) -> Iterator[tuple[Pod, Container, str]]:
    """The servers that are vLLM, with the id of their model."""
    for pod in subject.servers:
        if pod.workload is not None and pod.server and pod.workload.spec.runtime is not Runtime.LLAMACPP:
            yield pod, pod.server, pod.workload.spec.model


def _half_tool_calling(subject: Subject) -> Iterator[Hit]:
    for pod, server, _ in _vllm(subject):
        parser = server.option("--tool-call-parser")
        automatic = "--enable-auto-tool-choice" in server.words
        path = (*pod.path, "toolCalling")
        if parser is not None and not automatic:
            text = f"--tool-call-parser {parser} without --enable-auto-tool-choice: calls with tool_choice auto get 400"
            yield Hit(path, text, about=pod.about)
        elif automatic and parser is None:
            text = "--enable-auto-tool-choice without --tool-call-parser: vLLM refuses to start"
            yield Hit(path, text, about=pod.about)


def _wrong_parser(subject: Subject) -> Iterator[Hit]:
    for pod, server, model in _vllm(subject):
        parser = server.option("--tool-call-parser")
        if parser is None or "--tool-parser-plugin" in server.words:
            continue
        path = (*pod.path, "toolCalling", "parser")
        if parser not in _PARSERS:
            text = f"'{parser}' is none of vLLM's tool call parsers"
            yield Hit(path, text, f"one of {', '.join(sorted(_PARSERS))}", pod.about)
            continue
        fitting = next((names for form, names in _FAMILIES if re.search(form, model.lower())), None)
        if fitting is not None and parser not in fitting:
            text = f"{model} does not write its calls as '{parser}' reads them"
            yield Hit(path, text, f"vLLM's documentation names {' or '.join(sorted(fitting & _PARSERS))}", pod.about)


def _no_chat_template(subject: Subject) -> Iterator[Hit]:
    for pod, server, model in _vllm(subject):
        if _BASE.search(model) and server.option("--chat-template") is None:
            yield Hit(
                (*pod.path, "chatTemplate"), f"{model} is a base model, which has no chat template", about=pod.about
            )


def _remote_code(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        for at, word in enumerate(workload.spec.args):
            if _dashed(word) == "--trust-remote-code" and not word.lower().endswith("=false"):
                text = f"the Python files in the repository of {workload.spec.model} run inside the server"
                yield Hit((*path, "args", at), text)


RULES = (
    Rule(
        "WTS801",
        "argument-against-key",
        Severity.WARNING,
        "Argument that contradicts the catalog",
        "A server takes the last of two equal arguments. Services, probes, smoke prompts, `plan` and these findings "
        "go by the key, so that they speak of a server that does not run.",
        "Set the key, and leave the argument out.",
        "",
        _overriding,
    ),
    Rule(
        "WTS802",
        "tool-calling-half-configured",
        Severity.ERROR,
        "Tool calling is only half configured",
        "vLLM needs both `--enable-auto-tool-choice` and `--tool-call-parser`: with one alone it does not start, or "
        "answers calls with 400.",
        "Use `toolCalling: {parser: ...}`, which sets both.",
        "vllm-project/vllm issue 9986",
        _half_tool_calling,
    ),
    Rule(
        "WTS803",
        "tool-parser-does-not-fit",
        Severity.WARNING,
        "Tool call parser that is unknown or belongs to another family of models",
        "vLLM does not start with a parser that it does not know. With that of another family the calls stay in the "
        "text of the answer, and the agent sees none.",
        "Take the parser that vLLM's page on tool calling names for the model.",
        "docs.vllm.ai, Features, Tool Calling",
        _wrong_parser,
    ),
    Rule(
        "WTS804",
        "no-chat-template",
        Severity.WARNING,
        "Chat with a model that has no chat template",
        "`/v1/chat/completions` answers 400: as of transformers 4.44 there is no default chat template any more. "
        "Smoke prompts and agents use this route.",
        "Serve the instruction-tuned variant, or give `chatTemplate`.",
        "vllm-project/vllm issue 39279",
        _no_chat_template,
    ),
    Rule(
        "WTS805",
        "remote-code-trusted",
        Severity.WARNING,
        "Code from the model's repository is run",
        "`--trust-remote-code` runs Python files that were downloaded with the weights, with the token and the "
        "network of the server. Who changes the repository changes what runs.",
        "Leave it out where the model's architecture is one of vLLM's own; otherwise pin `--revision` and "
        "`--code-revision` to commits that somebody has read.",
        "docs.vllm.ai, Security",
        _remote_code,
    ),
)
