"""What entries say about each other: unique names, references that lead somewhere, keys that fit together."""

from __future__ import annotations

import pytest

from tests.catalogs import SMALL, STACK, changed, complaint, loaded

BASE = SMALL + STACK
SECOND_AGENT = "- {name: chat-agent, namespace: workshop, via: direct, model: granite-8b}\n"

WRONG = {
    "name twice": (
        [("name: llama-3b", "name: granite\n  aliases: [llama-3b]")],
        (
            "models.yaml:16:9: models[1].name: 'granite' is already an alias of models[0]\n"
            "  hint: names and aliases are unique over all models; what refers to models is checked once they are"
        ),
    ),
    # References to the name, and to the one that a model no longer has, tell nothing until it is clear who is who.
    "name twice, referred to": (
        [("name: llama-3b", "name: llama-guard")],
        (
            "models.yaml:22:9: models[2].name: 'llama-guard' is already the name of models[1]\n"
            "  hint: names and aliases are unique over all models; what refers to models is checked once they are"
        ),
    ),
    "alias that is the name": (
        [("[granite]", "[granite-8b]")],
        (
            "models.yaml:8:13: models[0].aliases[0]: 'granite-8b' is already the name of models[0]\n"
            "  hint: names and aliases are unique over all models; what refers to models is checked once they are"
        ),
    ),
    "one object for two": (
        [
            ("name: llama-guard\n", "name: granite.8b\n"),
            ("safety: llama-guard", "safety: granite.8b"),
            ("safety: llama-guard", "safety: granite.8b"),
        ],
        (
            "models.yaml:22:3: models[2] (granite.8b): its Service llm/granite-8b is already that of "
            "models[0] (granite-8b)\n"
            "  hint: give one of them another name, Service or namespace"
        ),
    ),
    "one Service for two": (
        [
            ("role: code", "role: code\n  service: {name: main}"),
            ("role: safety", "role: safety\n  service: {name: main}"),
        ],
        (
            "models.yaml:23:3: models[2] (llama-guard): its Service llm/main is already that of models[0] "
            "(granite-8b)\n"
            "  hint: give one of them another name, Service or namespace"
        ),
    ),
    "one folder for two": (
        [("role: code", "role: code\n  path: same"), ("role: chat", "role: chat\n  path: same")],
        (
            "models.yaml:17:3: models[1] (llama-3b): its folder same is already that of models[0] (granite-8b)\n"
            "  hint: give one of them another `path`"
        ),
    ),
    "the folder of what models share": (
        [("role: code", "role: code\n  path: shared")],
        (
            "models.yaml:12:9: models[0].path: the kustomize tree has a folder or file of its own called 'shared'\n"
            "  hint: name another folder"
        ),
    ),
    "the folder of a file": (
        [("role: code", "role: code\n  path: llm/vllm.yaml")],
        (
            "models.yaml:12:9: models[0].path: the kustomize tree has a folder or file of its own called "
            "'llm/vllm.yaml'\n  hint: name another folder"
        ),
    ),
    "a key that KServe does not read": (
        [("models:\n", "secrets: {huggingface: {name: hf, key: token}}\nmodels:\n")],
        (
            "models.yaml:6:40: secrets.huggingface.key: expected HF_TOKEN, the only key that KServe reads for "
            "models[1] (llama-3b), got 'token'\n  hint: rename the key in the Secret, and here"
        ),
    ),
    "a vector store beside the volume": (
        [("{type: milvus}", "{type: milvus, path: /data/milvus.db}")],
        (
            "models.yaml:35:37: llamaStack.vectorStore.path: expected a path under /.llama/, where the volume is, "
            "got '/data/milvus.db'\n  hint: elsewhere it is lost with the pod"
        ),
    ),
    "an agent twice": (
        [("  tasks: {conversation: llama-3b}\n", "  tasks: {conversation: llama-3b}\n" + SECOND_AGENT)],
        (
            "models.yaml:45:3: agents[1] (chat-agent): its Deployment workshop/chat-agent is already that of "
            "agents[0] (chat-agent)\n  hint: give one of them another name, Service or namespace"
        ),
    ),
    "no image": (
        [('images: {vllm: "vllm/vllm-openai:v0.33.0"}', "images: {}"), ("role: safety", "role: safety\n  image: a:1")],
        (
            "models.yaml:7:3: models[0] (granite-8b): no image: neither `image` here nor defaults.images.vllm\n"
            "  hint: set defaults.images.vllm"
        ),
    ),
    "no image for Llama Stack": (
        [("  image: llamastack/distribution-starter:0.7.3\n", "")],
        (
            "models.yaml:28:1: llamaStack: no image: neither `image` here nor defaults.images.llamaStack\n"
            "  hint: set defaults.images.llamaStack"
        ),
    ),
    "more parallel than GPUs": (
        [("role: code", "role: code\n  gpus: 2\n  parallel: {tensor: 4}")],
        (
            "models.yaml:12:9: models[0].gpus: a pod of 2 GPUs cannot be split over 4\n"
            "  hint: set gpus to parallel.tensor, or leave it out"
        ),
    ),
    "image of KServe": (
        [("role: chat", "role: chat\n  image: a:1")],
        (
            "models.yaml:20:3: models[1].image: has no effect with runtime kserve: the image is that of KServe's "
            "ServingRuntime\n  hint: leave it out"
        ),
    ),
    "no pods of KServe": (
        [("role: chat", "role: chat\n  replicas: 0")],
        "models.yaml:20:13: models[1].replicas: expected at least 1 for kserve, which cannot start from no pods, got 0",
    ),
    "threads of vLLM": (
        [("role: code", "role: code\n  threads: 2")],
        (
            "models.yaml:12:3: models[0].threads: has no effect with runtime vllm: only llamacpp reads it\n"
            "  hint: leave it out"
        ),
    ),
    "llamacpp over GPUs, from a repository": (
        [("runtime: vllm", "runtime: llamacpp\n  image: a:1\n  parallel: {tensor: 2}")],
        (
            "models.yaml:11:14: models[0].parallel.tensor: has no effect with runtime llamacpp, which is not "
            "split over GPUs\n"
            "  hint: leave it out\n"
            "models.yaml:12:10: models[0].model: expected the absolute path of a GGUF file in the image, "
            "got 'ibm-granite/granite-3.1-8b-instruct'\n  hint: llamacpp reads weights from its image"
        ),
    ),
    "prompt twice": (
        [("[{icontains: hello}]}", "[{icontains: hello}]}\n  - {name: hello, prompt: x, assert: [{minTokens: 1}]}")],
        "models.yaml:16:12: models[0].smoke[1].name: 'hello' is already the name of smoke[0] of this model",
    ),
    "no room for the prompt": (
        [("prompt: Say hello.", "prompt: Say hello., maxTokens: 8192")],
        (
            "models.yaml:15:50: models[0].smoke[0].maxTokens: an answer of 8192 tokens leaves no room for the prompt\n"
            "  hint: maxModelLen is 8192, prompt and answer together"
        ),
    ),
    "assertion that cannot hold": (
        [("icontains: hello", "minTokens: 65")],
        (
            "models.yaml:15:60: models[0].smoke[0].assert[0].minTokens: can never hold: the answer is cut after "
            "64 tokens\n"
            "  hint: raise maxTokens"
        ),
    ),
    "budget twice": (
        [("role: code", "role: code\n  budgets: [{metric: ttft, max: 1s}, {metric: ttft, stat: p50, max: 2s}]")],
        "models.yaml:12:38: models[0].budgets[1]: a budget for ttft p50 is already given by budgets[0]",
    ),
    "budget without prompts": (
        [("role: chat", "role: chat\n  budgets: [{metric: ttft, max: 1s}]")],
        (
            "models.yaml:20:3: models[1].budgets: have no effect without smoke prompts to measure\n"
            "  hint: add a prompt under smoke"
        ),
    ),
    "Llama Stack names no model": (
        [("models: [llama-3b]", "models: [llama-3b, llama-4b]")],
        "models.yaml:32:22: llamaStack.models[1]: no model is named 'llama-4b'\n  hint: did you mean llama-3b?",
    ),
    "Llama Stack names a model twice": (
        [("models: [llama-3b]", "models: [llama-3b, granite, granite-8b]")],
        "models.yaml:32:31: llamaStack.models[2]: 'granite-8b' is the model of llamaStack.models[1] again",
    ),
    "guard among the models": (
        [("models: [llama-3b]", "models: [llama-3b, llama-guard]")],
        "models.yaml:32:22: llamaStack.models[1]: 'llama-guard' has role safety: it belongs under llamaStack.safety",
    ),
    "shield that is no guard": (
        [("safety: llama-guard", "safety: granite"), ("safety: llama-guard", "safety: granite")],
        (
            "models.yaml:33:11: llamaStack.safety: expected a model with role safety, but 'granite' has role code\n"
            "models.yaml:42:11: agents[0].safety: expected a model with role safety, but 'granite' has role code"
        ),
    ),
    "agent names no model": (
        [
            ("  model: llama-3b\n  fallback", "  model: qwen\n  fallback"),
            ("tasks: {conversation: llama-3b}", "tasks: {x: lama-3b}"),
        ],
        (
            "models.yaml:40:10: agents[0].model: no model is named 'qwen'\n"
            "  hint: known models: granite-8b, granite, llama-3b, llama-guard\n"
            "models.yaml:44:14: agents[0].tasks.x: no model is named 'lama-3b'\n  hint: did you mean llama-3b?"
        ),
    ),
    "agent answered by a guard": (
        [("fallback: granite-8b", "fallback: llama-guard")],
        (
            "models.yaml:41:13: agents[0].fallback: 'llama-guard' has role safety: it judges text and does not "
            "answer questions"
        ),
    ),
    "fallback to itself": (
        [
            ("  model: llama-3b\n  fallback: granite-8b", "  model: granite-8b\n  fallback: granite"),
            ("via: llama-stack", "via: direct"),
        ],
        (
            "models.yaml:41:13: agents[0].fallback: 'granite' is the agent's primary model itself\n"
            "  hint: name another model, or leave it out"
        ),
    ),
    "not behind Llama Stack": (
        [("  model: llama-3b\n  fallback: granite-8b", "  model: granite")],
        (
            "models.yaml:40:10: agents[0].model: 'granite' is not behind Llama Stack, which this agent goes through\n"
            "  hint: add it to llamaStack.models, or set via: direct"
        ),
    ),
    "not Llama Stack's shield": (
        [("  safety: llama-guard\n  embeddings", "  embeddings")],
        (
            "models.yaml:41:11: agents[0].safety: 'llama-guard' is not Llama Stack's shield, which this agent's "
            "requests go "
            "through\n  hint: name the same model as llamaStack.safety"
        ),
    ),
    "nothing to retrieve from": (
        [("  vectorStore: {type: milvus}\n", "")],
        (
            "models.yaml:42:8: agents[0].rag: needs llamaStack.vectorStore, which is not there\n"
            "  hint: add llamaStack.vectorStore, or set rag: false"
        ),
    ),
    "no Llama Stack": (
        [(STACK.partition("agents:")[0], "")],
        (
            "models.yaml:31:8: agents[0].via: there is no llamaStack to go through\n"
            "  hint: add llamaStack, or do without it\n"
            "models.yaml:35:8: agents[0].rag: there is no llamaStack to retrieve from\n"
            "  hint: add llamaStack, or do without it"
        ),
    ),
    "a name too long for KServe": (
        [("name: llama-3b", "name: " + "l" * 49 + "\n  aliases: [llama-3b]")],
        (
            f"models.yaml:16:9: models[1].name: KServe labels its pods 'isvc.{'l' * 49}-predictor', which has more "
            "than 63 characters\n"
            "  hint: give the model a shorter name, and this one as an alias"
        ),
    ),
}


@pytest.mark.parametrize(("changes", "expected"), WRONG.values(), ids=WRONG)
def test_each_reference_is_checked(changes: list[tuple[str, str]], expected: str) -> None:
    """Entries that contradict each other give a message at the one that has to change."""
    assert complaint(changed(*changes)) == expected


def test_references_may_use_aliases() -> None:
    """An alias is as good as the name, wherever a model is named."""
    text = changed(("models: [llama-3b]", "models: [llama-3b, granite]"), ("fallback: granite-8b", "fallback: granite"))
    assert loaded(text).catalog.agents[0].fallback == "granite"


def test_without_models_only_that_is_said() -> None:
    """When `models` is no list, each name that could refer to one is not reported as well."""
    text = SMALL[: SMALL.index("models:")] + "models: none\n" + STACK
    assert complaint(text) == (
        "models.yaml:6:9: models: expected a list, got 'none'\n  hint: start each entry on a line of its own with '- '"
    )


def test_a_model_with_a_mistake_is_still_a_model() -> None:
    """An entry that is wrong in itself is not also reported as missing by those that name it."""
    text = changed(("  model: meta-llama/Llama-3.2-3B-Instruct\n", "  model: 3\n"))
    assert complaint(text).splitlines()[0] == "models.yaml:18:10: models[1].model: expected text, got 3"
    assert len(complaint(text).splitlines()) == 2


def test_llama_stack_that_is_off_is_still_referred_to() -> None:
    """`enabled: false` takes it out of the cluster, not out of what the agents may name, and needs no image."""
    text = changed(("  image: llamastack/distribution-starter:0.7.3\n", "  enabled: false\n"))
    assert loaded(text).catalog.llama_stack is not None


@pytest.mark.parametrize("gpus", ["0", "1", "4"])
def test_a_model_without_tensor_parallel_takes_any_number_of_gpus(gpus: str) -> None:
    """One worker needs no GPU (vLLM's CPU build) and may be given several."""
    assert loaded(changed(("role: code", f"role: code\n  gpus: {gpus}"))).workloads[0].gpus == int(gpus)
