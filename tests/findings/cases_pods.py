"""Cases of the areas 0 to 3: images, memory, start and update of pods, volumes."""

from __future__ import annotations

from tests.findings.base import GONE, POD, PREDICTOR, SERVER, Case, Edit
from wtsctl.plan.modelconfig import read

_VLLM = "vllm/vllm-openai:v0.33.0"
_TOKEN = "hf_" + "aB3" * 12
_LARGE = "llama-70b"

_YARN = read(
    {
        "architectures": ["Qwen3ForCausalLM"],
        "num_hidden_layers": 36,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 12288,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 40960},
    },
    "config.json",
)
_FP8 = read(
    {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "quantization_config": {"quant_method": "fp8"},
    },
    "config.json",
)
_RESTRICTED = (("models:\n- name", "platform: {podSecurity: restricted}\nmodels:\n- name"),)

CASES = (
    Case("WTS001", ((_VLLM, "vllm/vllm-openai:latest"),), '"vllm/vllm-openai:latest', "has the tag 'latest'"),
    Case("WTS001", ((_VLLM, "vllm/vllm-openai"),), '"vllm/vllm-openai"', "has no tag", name="no-tag"),
    Case("WTS001", ((_VLLM, "registry:5000/vllm"),), '"registry:5000/vllm"', "has no tag", name="port"),
    Case("WTS001", ((_VLLM, "registry:5000/vllm:v1"),), name="port-and-tag"),
    Case("WTS001", ((_VLLM, "vllm/vllm-openai@sha256:" + "a" * 64),), name="digest"),
    Case(
        "WTS001",
        ((":0.7.3", ":main"),),
        '"llamastack/distribution-starter:main',
        name="llama-stack",
    ),
    Case(
        "WTS001",
        (
            (
                "runtime: vllm\n  model: meta-llama/Llama-3",
                "runtime: vllm\n  image: own/vllm\n  model: meta-llama/Llama-3",
            ),
        ),
        "own/vllm",
        name="of-a-model",
    ),
    Case("WTS003", (("  runAsUser: 2000\n", ""),), f'"{_VLLM}', f"the user of {_VLLM} is root"),
    Case("WTS003", (("  runAsUser: 2000\n", ""), (_VLLM, "registry.example.com/vllm:v1")), name="own-image"),
    Case(
        "WTS003",
        (
            ("  runAsUser: 2000\n", ""),
            ("  role: safety\n", "  role: safety\n  image: vllm/vllm-openai:v0.33.0\n"),
            (f'"{_VLLM}"', "own/vllm:1"),
        ),
        _VLLM,
        name="of-a-model",
    ),
    Case("WTS002", (("Say hello.", _TOKEN),), _TOKEN, "looks like a Hugging Face token"),
    Case(
        "WTS002",
        (("  maxModelLen: 8192\n", "  args: [--hf-token=abcdefgh1]\n  maxModelLen: 8192\n"),),
        "--hf-token",
        "the value of hf-token",
        name="argument",
    ),
    Case(
        "WTS002",
        (("  maxModelLen: 8192\n", "  env: {WANDB_API_KEY: 0123abcd}\n  maxModelLen: 8192\n"),),
        "0123abcd",
        "the value of WANDB_API_KEY",
        name="variable",
    ),
    Case(
        "WTS002",
        (("  maxModelLen: 8192\n", "  env: {BLOB: q7Zx0PvLm3RtYk9WsCb2NfHd8JgUa4Ee}\n  maxModelLen: 8192\n"),),
        "q7Zx",
        "a random key",
        name="random",
    ),
    Case("WTS002", (("models:\n", f"# {_TOKEN}\nmodels:\n"),), "hf_", "Hugging Face", name="comment"),
    Case(
        "WTS002",
        (
            (
                "  maxModelLen: 8192\n",
                "  env: {TOKENIZERS_PARALLELISM: 'false', LOG: /var/log/vllm/server/output/it}\n  maxModelLen: 8192\n",
            ),
        ),
        name="no-secret",
    ),
    Case(
        "WTS101",
        (("{tensor: 4}", "{tensor: 1}"),),
        "1}",
        "131.4 GiB of weights on 1 x NVIDIA-A100-SXM4-80GB",
    ),
    Case("WTS101", (("A100-SXM4-80GB", "A100-SXM4-40GB"),), "4}", name="small-gpus"),
    Case(
        "WTS101",
        (("A100-SXM4-80GB", "A100-SXM4-40GB"), ("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  quantization: fp8")),
        name="fp8",
    ),
    Case(
        "WTS102",
        (
            ("A100-SXM4-80GB", "L40S"),
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 8",
                "  maxModelLen: 128000\n  resources: {requests: {cpu: 8",
            ),
        ),
        "128000",
        "one sequence of 128,000 tokens",
    ),
    Case(
        "WTS102",
        (
            ("A100-SXM4-80GB", "L40S"),
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 8",
                "  maxModelLen: 40000\n  resources: {requests: {cpu: 8",
            ),
        ),
        name="fits",
    ),
    Case("WTS103", (("{tensor: 4}", "{tensor: 3}"),), "3}", "64 attention heads cannot be shared out to 3 GPUs"),
    Case("WTS103", (("{tensor: 4}", "{tensor: 8}"),), name="divides"),
    Case(
        "WTS103",
        (
            ("role: safety\n", "role: safety\n  parallel: {pipeline: 33}\n"),
            ("500Gi}", "500Gi, accessMode: ReadWriteMany}"),
        ),
        "33}",
        "32 layers cannot be shared out to 33 pipeline stages",
        name="stages",
    ),
    Case(
        "WTS104",
        (
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 4",
                "  maxModelLen: 200000\n  resources: {requests: {cpu: 4",
            ),
        ),
        "200000",
        "made for 131,072",
    ),
    Case(
        "WTS104",
        (
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 4",
                "  maxModelLen: 131072\n  resources: {requests: {cpu: 4",
            ),
        ),
        name="all-of-it",
    ),
    Case(
        "WTS104",
        (
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 4",
                "  maxModelLen: 131088\n  resources: {requests: {cpu: 4",
            ),
        ),
        checkpoints={"granite-8b": _YARN},
        name="yarn",
    ),
    Case(
        "WTS104",
        (
            (
                "  maxModelLen: 8192\n  resources: {requests: {cpu: 4",
                "  args: ['--hf-overrides={}']\n  maxModelLen: 131088\n  resources: {requests: {cpu: 4",
            ),
        ),
        name="overridden",
    ),
    Case(
        "WTS105",
        (("  role: safety\n", "  role: safety\n  dtype: bfloat16\n  gpu: {product: Tesla-T4}\n  quantization: fp8\n"),),
        "bfloat16",
        "Tesla-T4 computes no bfloat16",
    ),
    Case(
        "WTS105",
        (("  role: safety\n", "  role: safety\n  dtype: half\n  gpu: {product: Tesla-T4}\n  quantization: fp8\n"),),
        name="half",
    ),
    Case("WTS106", (("ibm-granite/granite-3.1", "acme/granite-9"),), "acme", "not in the table of known models"),
    Case(
        "WTS106",
        (("{product: NVIDIA-A100-SXM4-80GB}", "{product: Acme-1}"),),
        "Acme-1",
        "not in the table of products",
        name="gpu",
    ),
    Case("WTS106", (("{product: NVIDIA-A100-SXM4-80GB}", "{product: NVIDIA-H200}"),), name="known"),
    Case(
        "WTS107",
        (("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  args: [--cpu-offload-gb, '20']"),),
        "64Gi",
        "keep 80 GiB in the container's memory, whose limit is 64Gi",
    ),
    Case(
        "WTS107",
        (("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  args: [--cpu-offload-gb, '10']"),),
        name="fits",
    ),
    Case(
        "WTS108",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "volumeMounts"), []),),
        at="4}",
        says="4 workers share /dev/shm",
        also=frozenset(),
    ),
    Case(
        "WTS108",
        (("{tensor: 4}", "{tensor: 2}"), ("maxModelLen: 8192", "maxModelLen: 2048"), ("A100-SXM4-80GB", "H200")),
        name="mounted",
    ),
    Case(
        "WTS109",
        (("memory: 32Gi}, limits: {cpu: 16, memory: 64Gi", "memory: 1Gi}, limits: {cpu: 16, memory: 1Gi"),),
        "1Gi}}",
        "want 1Gi or more",
    ),
    Case(
        "WTS109",
        (("memory: 32Gi}, limits: {cpu: 16, memory: 64Gi", "memory: 4Gi}, limits: {cpu: 16, memory: 4Gi"),),
        name="half",
    ),
    Case(
        "WTS110",
        edits=(Edit("Deployment", "llama-guard", (*SERVER, "resources", "requests", "nvidia.com/gpu"), "2"),),
        at="resources",
        says="requests 2 of nvidia.com/gpu and is limited to 1",
    ),
    Case(
        "WTS110",
        edits=(Edit("Deployment", "llama-guard", (*SERVER, "resources", "requests", "nvidia.com/gpu"), GONE),),
        name="limit-alone",
    ),
    Case(
        "WTS111",
        (("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  gpus: 8"),),
        "8",
        "takes 8 GPUs, and its server uses 4",
    ),
    Case("WTS111", (("parallel: {tensor: 4}", "parallel: {tensor: 4}\n  gpus: 4"),), name="all-used"),
    Case("WTS201", (("startupTimeout: 60m", "startupTimeout: 10m"),), "10m", "loading takes about 25m"),
    Case("WTS201", (("startupTimeout: 60m", "startupTimeout: 25m"),), name="long-enough"),
    Case(
        "WTS201",
        (("startupTimeout: 60m", "startupTimeout: 20m\n  quantization: fp8"),),
        "20m",
        "loading takes about 25m",
        name="the-files-are-not-quantized",
    ),
    Case(
        "WTS202",
        edits=(Edit("Deployment", _LARGE, ("spec", "progressDeadlineSeconds"), GONE),),
        at="name: llama-70b",
        says="failed after 10m, while a pod may take 60m",
    ),
    Case(
        "WTS202",
        edits=(Edit("Deployment", _LARGE, ("spec", "progressDeadlineSeconds"), 3700),),
        name="longer",
    ),
    Case(
        "WTS203",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "startupProbe"), GONE),),
        at="name: llama-70b",
        says="kills a pod that still loads after",
    ),
    Case(
        "WTS203",
        edits=(
            Edit("Deployment", _LARGE, (*SERVER, "startupProbe"), GONE),
            Edit("Deployment", _LARGE, (*SERVER, "livenessProbe", "initialDelaySeconds"), 3600),
        ),
        name="late",
    ),
    Case(
        "WTS204",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "readinessProbe"), GONE),),
        at="name: llama-70b",
        says="without a readiness probe",
    ),
    Case(
        "WTS204",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "readinessProbe"), {"tcpSocket": {"port": 8000}}),),
        name="other-probe",
    ),
    Case(
        "WTS205",
        edits=(Edit("Deployment", "llama-guard", ("spec", "strategy"), {"type": "RollingUpdate"}),),
        at="name: llama-guard",
        says="1 more pod with 1 GPU each",
    ),
    Case(
        "WTS205",
        edits=(Edit("InferenceService", "granite-8b", (*PREDICTOR, "deploymentStrategy"), GONE),),
        at="name: granite-8b",
        name="kserve",
    ),
    Case("WTS205", (("  role: safety\n", "  role: safety\n  replicas: 3\n"),), name="rolling-without-surge"),
    Case(
        "WTS206",
        edits=(Edit("Deployment", _LARGE, (*POD, "terminationGracePeriodSeconds"), 30),),
        at="name: llama-70b",
        says="it is killed after 30 s",
    ),
    Case(
        "WTS206",
        edits=(Edit("Deployment", _LARGE, (*POD, "terminationGracePeriodSeconds"), 60),),
        name="in-time",
    ),
    Case(
        "WTS207",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "env"), [{"name": "HOME", "value": "/tmp"}]),),
        at="name: llama-70b",
        says="lacks USER, HF_HOME",
    ),
    Case(
        "WTS207",
        edits=(
            Edit("Deployment", _LARGE, (*SERVER, "securityContext", "readOnlyRootFilesystem"), True),
            Edit("Deployment", _LARGE, (*SERVER, "env", 2), {"name": "HF_HOME", "value": "/elsewhere"}),
        ),
        at="name: llama-70b",
        says="/elsewhere, which lies on no volume",
        also=frozenset({"WTS211"}),
        name="read-only",
    ),
    Case(
        "WTS207",
        edits=(Edit("Deployment", _LARGE, (*SERVER, "securityContext", "readOnlyRootFilesystem"), True),),
        also=frozenset({"WTS211"}),
        name="on-a-volume",
    ),
    Case(
        "WTS208",
        (("  role: safety\n", "  role: safety\n  apiKey: {name: guard-key, key: key}\n"),),
        "apiKey",
        "the readinessProbe asks /v1/models",
        (Edit("Deployment", "llama-guard", (*SERVER, "readinessProbe", "httpGet", "path"), "/v1/models"),),
    ),
    Case("WTS208", (("  role: safety\n", "  role: safety\n  apiKey: {name: guard-key, key: key}\n"),), name="health"),
    Case(
        "WTS209",
        _RESTRICTED,
        "name: llama-guard",
        "admits no pod with hostNetwork, privilege escalation allowed",
        (
            Edit("Deployment", "llama-guard", (*POD, "hostNetwork"), True),
            Edit("Deployment", "llama-guard", (*SERVER, "securityContext", "allowPrivilegeEscalation"), GONE),
        ),
        also=frozenset({"WTS503"}),
    ),
    Case(
        "WTS209",
        _RESTRICTED,
        "name: llama-guard",
        "admits no pod with a volume of type hostPath, capabilities not dropped, root as its user, no seccomp profile",
        (
            Edit("Deployment", "llama-guard", (*POD, "volumes", 0), {"name": "weights", "hostPath": {"path": "/w"}}),
            Edit(
                "Deployment",
                "llama-guard",
                (*SERVER, "securityContext", "capabilities"),
                {"drop": ["ALL"], "add": ["X"]},
            ),
            Edit("Deployment", "llama-guard", (*POD, "securityContext"), {"runAsUser": 0, "runAsNonRoot": True}),
        ),
        also=frozenset({"WTS503"}),
        name="all-of-it",
    ),
    Case("WTS209", _RESTRICTED, also=frozenset({"WTS503"}), name="as-rendered"),
    Case("WTS209", edits=(Edit("Deployment", "llama-guard", (*POD, "hostNetwork"), True),), name="not-enforced"),
    Case(
        "WTS210",
        edits=(Edit("Deployment", "llama-guard", (*POD, "tolerations"), [{"key": "team", "operator": "Exists"}]),),
        at="name: llama-guard",
        says="does not tolerate the taint",
    ),
    Case(
        "WTS210",
        edits=(Edit("Deployment", "llama-guard", (*POD, "tolerations"), [{"operator": "Exists"}]),),
        name="tolerates-all",
    ),
    Case(
        "WTS211",
        edits=(Edit("Deployment", "llama-guard", (*SERVER, "securityContext", "readOnlyRootFilesystem"), True),),
        at="name: llama-guard",
        says="root file system that is read-only",
    ),
    Case(
        "WTS211",
        (("  role: safety\n", "  role: safety\n  gpus: 0\n"),),
        edits=(Edit("Deployment", "llama-guard", (*SERVER, "securityContext", "readOnlyRootFilesystem"), True),),
        name="no-gpus",
    ),
    Case(
        "WTS212",
        edits=(Edit("InferenceService", "granite-8b", (*PREDICTOR, "model", "resources"), GONE),),
        at="resources",
        says="no limit of cpu and memory",
    ),
    Case(
        "WTS212",
        edits=(Edit("InferenceService", "granite-8b", (*PREDICTOR, "model", "resources", "requests", "cpu"), "1"),),
        name="less",
    ),
    Case(
        "WTS301",
        (("size: 500Gi", "size: 500Gi, accessMode: ReadWriteOnce"),),
        "ReadWriteOnce",
        "2 pods mount the claim weights",
    ),
    Case(
        "WTS301",
        (
            ("size: 500Gi", "size: 500Gi, accessMode: ReadWriteOnce"),
            ("  role: safety\n", "  role: safety\n  namespace: other\n"),
        ),
        name="one-each",
    ),
    Case(
        "WTS301",
        (
            ("size: 500Gi", "size: 500Gi, accessMode: ReadWriteOnce"),
            ("  role: safety\n", "  role: safety\n  namespace: other\n  autoscale: {max: 2, by: hpa}\n"),
        ),
        "ReadWriteOnce",
        "2 pods mount",
        name="scaled",
    ),
    Case(
        "WTS302",
        (
            ("size: 500Gi", "size: 500Gi, accessMode: ReadWriteOnce"),
            ("  role: safety\n", "  role: safety\n  namespace: other\n  gpus: 0\n"),
        ),
        edits=(Edit("Deployment", "llama-guard", ("spec", "strategy"), {"type": "RollingUpdate"}),),
        at="name: llama-guard",
        says="while the old one holds the claim weights",
    ),
    Case(
        "WTS302",
        (("  role: safety\n", "  role: safety\n  gpus: 0\n"),),
        edits=(Edit("Deployment", "llama-guard", ("spec", "strategy"), {"type": "RollingUpdate"}),),
        name="shared-volume",
    ),
    Case("WTS303", (("size: 500Gi", "size: 100Gi"),), "100Gi", "146 GiB of weights are downloaded in llm"),
    Case("WTS303", (("size: 500Gi", "size: 160Gi"),), name="large-enough"),
    Case(
        "WTS303",
        (("size: 500Gi", "size: 100Gi"), ("  startupTimeout: 60m", "  quantization: fp8\n  startupTimeout: 60m")),
        checkpoints={"llama-70b": _FP8},
        name="fp8-already",
    ),
    Case("WTS304", (("cache: {claim: weights, size: 500Gi}\n", ""),), "name: llama", "downloads the weights again"),
    Case(
        "WTS304",
        (
            ("cache: {claim: weights, size: 500Gi}\n", ""),
            (
                "runtime: vllm\n  model: meta-llama/Llama-3.1-70B-Instruct",
                "runtime: kserve\n  model: ibm-granite/granite-3.2-8b-instruct",
            ),
            ("runtime: vllm", "runtime: kserve"),
            ("{tensor: 4}", "{tensor: 1}"),
        ),
        name="kserve",
    ),
    Case(
        "WTS305", (("secrets:\n  huggingface: {name: hf, key: HF_TOKEN}\n", ""),), "meta-llama/", "accepted its licence"
    ),
    Case(
        "WTS305",
        (
            ("secrets:\n  huggingface: {name: hf, key: HF_TOKEN}\n", ""),
            ("meta-llama/Llama-3.1-70B-Instruct", "ibm-granite/granite-3.2-8b-instruct"),
            ("meta-llama/Llama-Guard-3-8B", "ibm-granite/granite-3.2-8b-instruct"),
        ),
        name="open",
    ),
)
