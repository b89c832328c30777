"""What known failures of model servers look like: a line of each."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from wtsctl.health.signatures import SIGNATURES, Place, find

ROOT = Path(__file__).resolve().parents[2]

# Of each signature a line as somebody's server or cluster wrote it; the issue stands in the signature's `source`.
LINES = [
    (
        "gated-model",
        (
            "Access to model meta-llama/Meta-Llama-3-8B-Instruct is restricted. You must have access to it and be "
            "authenticated to access it. Please log in."
        ),
    ),
    (
        "gated-model",
        "huggingface_hub.utils._errors.GatedRepoError: 403 Client Error. (Request ID: Root=1-66d1c249-759)",
    ),
    (
        "kv-cache",
        (
            "(EngineCore_DP0 pid=1094) ValueError: To serve at least one request with the models's max "
            "seq len (262144), "
            "(24.0 GiB KV cache is needed, which is larger than the available KV cache memory (3.18 GiB)."
        ),
    ),
    (
        "kv-cache",
        (
            "(EngineCore pid=316) ValueError: To serve at least one request with the model's max seq len (100000), "
            "(4.26 GiB KV cache is needed, which is larger than the available KV cache memory (4.25 GiB)."
        ),
    ),
    (
        "kv-cache",
        (
            "ValueError: The model's max seq len (4096) is larger than the maximum number of tokens "
            "that can be stored in "
            "KV cache (3664). Try increasing `gpu_memory_utilization` or decreasing `max_model_len`"
        ),
    ),
    (
        "gpu-memory",
        (
            "(EngineCore_DP0 pid=556790) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate "
            "80.00 MiB. GPU 0 "
            "has a total capacity of 139.72 GiB of which 60.69 MiB is free."
        ),
    ),
    (
        "shared-memory",
        (
            "a46f6c76528f:2777:5429 [0] misc/shmutils.cc:113 NCCL WARN Error while creating shared memory segment "
            "/dev/shm/nccl-v2jS20 (size 9637888)"
        ),
    ),
    ("startup-killed", "KeyboardInterrupt: terminated"),
    (
        "service-port",
        (
            "ERROR 02-10 09:39:12 [engine.py:458] ValueError: VLLM_PORT 'tcp://169.169.193.120:6785' "
            "appears to be a URI. "
            "This may be caused by a Kubernetes service discovery issue"
        ),
    ),
    (
        "bfloat16",
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
            "Your Tesla T4 GPU has compute capability 7.5."
        ),
    ),
    (
        "chat-template",
        (
            "vllm.entrypoints.chat_utils.ChatTemplateResolutionError: As of transformers v4.44, "
            "default chat template is "
            "no longer allowed, so you must provide a chat template if the tokenizer does not define one."
        ),
    ),
    (
        "tool-choice",
        (
            '{"object":"error","message":"\\"auto\\" tool choice requires --enable-auto-tool-choice and '
            '--tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}'
        ),
    ),
    ("arbitrary-user", "KeyError: 'getpwuid(): uid not found: 1000910000'"),
    ("arbitrary-user", "PermissionError: [Errno 13] Permission denied: '/.cache'"),
    ("read-only-cache", "OSError: [Errno 30] Read-only file system: '/nonexistent'"),
    ("unknown-model", "The model `llama` does not exist."),
    (
        "gguf-missing",
        "gguf_init_from_file: failed to open GGUF file '/home/user/models/gemma-3-12b-it-qat-q4_0.gguf'",
    ),
    (
        "gpus-short",
        (
            "FailedScheduling: 0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/"
            "control-plane: }, 3 Insufficient nvidia.com/gpu."
        ),
    ),
    (
        "multi-attach",
        (
            'FailedAttachVolume: Multi-Attach error for volume "pvc-7a81d56f-1cf9-11eb-8295-b6961e0a47ed" Volume is '
            "already exclusively attached to one node and can't be attached to another"
        ),
    ),
    ("startup-probe", "Killing: Container server failed startup probe, will be restarted"),
    (
        "registry-login",
        (
            'Failed: Failed to pull image "octarinesec/guardrails-enforcer:20.7": rpc error: code = '
            "Unknown desc = Error "
            "response from daemon: unauthorized: authentication required"
        ),
    ),
    (
        "registry-login",
        (
            'Failed: Failed to pull image "kubecloud": rpc error: code = Unknown desc = Error response from daemon: '
            "pull access denied for kubecloud, repository does not exist or may require 'docker login'"
        ),
    ),
]


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_line_is_known(name: str, line: str) -> None:
    """Among other lines the known one is found, and it is that line which is told."""
    place = next(one.place for one in SIGNATURES if one.name == name)
    lines = ["Traceback (most recent call last):", line, "RuntimeError: Engine core initialization failed."]
    found = find(lines, []) if place is Place.LOG else find([], lines)
    assert found is not None
    assert (found.signature.name, found.line) == (name, line)


def test_every_signature_has_a_line() -> None:
    """No signature is without a line, and each name is there once."""
    assert {name for name, _ in LINES} == {one.name for one in SIGNATURES}
    assert len({one.name for one in SIGNATURES}) == len(SIGNATURES)


def test_usual_lines_are_not_taken_for_failures() -> None:
    """What servers write when all goes well has no signature."""
    usual = [
        "INFO 08-14 10:01:27 model_runner.py:692] Loading model weights took 13.5083 GB",
        "Loading safetensors checkpoint shards: 100% Completed | 3/3 [01:49<00:00, 36.52s/it]",
        "srv    load_model: loading model '/weights/SmolLM2-135M-Instruct.Q4_1.gguf'",
        "main: server is listening on http://0.0.0.0:8000 - starting the main loop",
    ]
    assert find(usual, ["Pulling: Pulling image vllm/vllm-openai:v0.33.0", "Scheduled: Successfully assigned"]) is None


def test_a_log_line_in_an_event_does_not_count() -> None:
    """A signature of logs is looked for in logs alone."""
    assert find([], ["KeyboardInterrupt: terminated"]) is None


def test_the_page_has_the_table() -> None:
    """The how-to's table is what the program knows; `make docs` writes it."""
    made = runpy.run_path(str(ROOT / "docs/reference/generate_signatures.py"))
    assert made["PAGE"].read_text() == made["page"]()
