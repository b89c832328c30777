"""Findings about memory: that of the GPUs, and that of the container."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from wtsctl.catalog.fault import Path
from wtsctl.catalog.model import Runtime
from wtsctl.plan.findings.objects import items, last_option, mapping, quantity, split_words
from wtsctl.plan.findings.pods import Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject
from wtsctl.plan.fit import Serving, fit, indivisible
from wtsctl.plan.gpus import GIB, gpu
from wtsctl.plan.remedies import for_memory
from wtsctl.plan.serving import Unknown, stretched

_GIB = Fraction(GIB)
# What WTS201 states: reading weights from a network volume or downloading them, and what vLLM does after that.
_READ_RATE = 100 * 1024**2
_WARM_UP_SECONDS = 120
# The segments that NCCL makes for each GPU: production-stack and llm-d give 20Gi, vLLM's documentation 2Gi.
_LEAST_SHM = Fraction(1024**3)


def load_seconds(subject: Subject, pod: Pod) -> float | None:
    """How long reading the weights and warming up take, as WTS201 states; None where the size is not known."""
    if pod.workload is None or not pod.workload.gpus:
        return None
    serving = subject.serving(pod.workload)
    if isinstance(serving, Unknown):
        return None
    return serving.file_bytes / _READ_RATE + _WARM_UP_SECONDS


def _on_gpus(subject: Subject) -> Iterator[tuple[Path, Serving | Unknown, str]]:
    """Each model that runs on GPUs: its path, how it is served, the product it asks for."""
    for path, workload in subject.models:
        if workload.gpus and workload.spec.runtime is not Runtime.LLAMACPP:
            asked = workload.spec.gpu or subject.catalog.defaults.gpu
            yield path, subject.serving(workload), asked.product or ""


def _too_large(subject: Subject) -> Iterator[Hit]:
    for path, serving, product in _on_gpus(subject):
        card = gpu(product)
        if isinstance(serving, Unknown) or card.usable is None or indivisible(serving):
            continue
        found = fit(serving, card.usable)
        if found.longest == 0:
            text = (
                f"{serving.weight_bytes / GIB:.1f} GiB of weights on {serving.gpus} x {card.name}: "
                f"{found.weights / GIB:.1f} GiB of weights and {found.overhead / GIB:.1f} GiB of overhead on each, "
                f"which lets the server have {found.budget / GIB:.1f} GiB"
            )
            yield Hit((*path, "parallel", "tensor"), text)


def _too_long(subject: Subject) -> Iterator[Hit]:
    for path, serving, product in _on_gpus(subject):
        card = gpu(product)
        if isinstance(serving, Unknown) or card.usable is None or indivisible(serving):
            continue
        found = fit(serving, card.usable)
        # A sliding window needs less than is computed, and by how much is not known.
        if found.longest > 0 and not found.fits and not serving.upper_bound:
            text = (
                f"one sequence of {serving.max_model_len:,} tokens takes {found.needed / GIB:.1f} GiB of each "
                f"{card.name}, and {found.room / GIB:.1f} GiB are left for it"
            )
            # Only what was computed to help. A model that was made for less starts with none but the first.
            workload = subject.loaded.workloads[int(path[1])]
            changes = for_memory(serving, card, pipelines=workload.spec.runtime is Runtime.VLLM, node_gpus=None)
            beyond = serving.max_model_len > serving.shape.max_position and not stretched(workload)
            texts = [change.text for change in changes if change.key == "maxModelLen" or not beyond]
            yield Hit((*path, "maxModelLen"), text, "; or ".join(texts))


def _indivisible(subject: Subject) -> Iterator[Hit]:
    for path, serving, _ in _on_gpus(subject):
        if not isinstance(serving, Unknown) and (why := indivisible(serving)):
            key = "pipeline" if serving.pipeline > serving.shape.layers else "tensor"
            yield Hit((*path, "parallel", key), why)


def _beyond_position(subject: Subject) -> Iterator[Hit]:
    for path, serving, _ in _on_gpus(subject):
        if isinstance(serving, Unknown) or serving.max_model_len <= serving.shape.max_position:
            continue
        if stretched(subject.loaded.workloads[int(path[1])]):
            continue
        text = f"{serving.max_model_len:,} tokens, and the model was made for {serving.shape.max_position:,}"
        yield Hit((*path, "maxModelLen"), text)


def _bfloat16(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        asked = workload.spec.gpu or subject.catalog.defaults.gpu
        if not workload.gpus or not gpu(asked.product or "").before_ampere:
            continue
        if (last_option(split_words(workload.spec.args), "--dtype") or workload.spec.dtype) == "bfloat16":
            yield Hit((*path, "dtype"), f"{asked.product} computes no bfloat16")


def _not_known(subject: Subject) -> Iterator[Hit]:
    unknown: dict[Path, str] = {}
    for path, serving, product in _on_gpus(subject):
        if isinstance(serving, Unknown):
            yield Hit((*path, "model"), f"not checked against its GPUs: {serving.reason}", serving.hint)
        elif gpu(product).usable is None:
            own = subject.catalog.models[int(path[1])].gpu is not None
            unknown[*(path if own else ("defaults",)), "gpu", "product"] = gpu(product).source
    for path, source in unknown.items():
        text = f"its models are not checked against their GPUs: {source}"
        yield Hit(path, text, "set it to the value of the label nvidia.com/gpu.product of the nodes")


def _offloaded(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        server, workload = pod.server, pod.workload
        limit = server.amount("limits", "memory") if server else None
        if server is None or workload is None or limit is None:
            continue
        serving = subject.serving(workload)
        tensor = workload.spec.parallel.tensor
        kept: list[tuple[str, Fraction]] = []
        for option, copies in (("--cpu-offload-gb", tensor), ("--kv-offloading-size", 1), ("--swap-space", tensor)):
            text = server.option(option) or ""
            if text.replace(".", "", 1).isdigit() and Fraction(text):
                kept.append((f"{option} {text}", Fraction(text) * _GIB * copies))
        if "--enable-sleep-mode" in server.words and not isinstance(serving, Unknown):
            kept.append(("--enable-sleep-mode", Fraction(serving.weight_bytes)))
        needed = sum((size for _, size in kept), Fraction(0))
        if kept and needed > (quantity(limit) or needed):
            what = " and ".join(name for name, _ in kept)
            text = f"{what} keep {float(needed / _GIB):.0f} GiB in the container's memory, whose limit is {limit}"
            yield Hit((*pod.path, "resources", "limits", "memory"), text, about=pod.about)


def _no_shm(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if _workers(pod) > 1 and pod.kind != "InferenceService" and _shm(pod) is None:
            text = f"{_workers(pod)} workers share /dev/shm, of which a container has 64 MiB by default"
            yield Hit((*pod.path, "parallel", "tensor"), text, about=pod.about)


def _small_shm(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        shm = _shm(pod)
        limit = pod.server.amount("limits", "memory") if pod.server else None
        if shm is None or _workers(pod) == 1:
            continue
        size, most = quantity(shm.get("sizeLimit")), quantity(limit)
        if size is None or most is None:
            continue
        written = shm["sizeLimit"]
        if size >= most:
            text = f"the volume of /dev/shm may grow to {written}, and counts against the memory limit of {limit}"
            yield Hit((*pod.path, "resources", "limits", "memory"), text, about=pod.about)
        elif size < _LEAST_SHM:
            text = f"the volume of /dev/shm has {written}, and {_workers(pod)} workers want 1Gi or more"
            yield Hit((*pod.path, "resources", "limits", "memory"), text, about=pod.about)


def _workers(pod: Pod) -> int:
    text = pod.server.option("--tensor-parallel-size", "-tp") if pod.server else None
    return int(text) if text and text.isdigit() else 1


def _shm(pod: Pod) -> dict[str, object] | None:
    """The volume that is mounted at /dev/shm."""
    mounts = items(pod.server.spec, "volumeMounts") if pod.server else ()
    name = next((mount.get("name") for mount in mounts if mount.get("mountPath") == "/dev/shm"), None)  # noqa: S108
    volume = next((volume for volume in items(pod.spec, "volumes") if name and volume.get("name") == name), None)
    return dict(mapping(volume, "emptyDir")) if volume is not None else None


def _unequal_devices(subject: Subject) -> Iterator[Hit]:
    for pod in subject.pods:
        for container in (*pod.containers, *pod.initial):
            requests = mapping(container.spec, "resources", "requests")
            limits = mapping(container.spec, "resources", "limits")
            for name in sorted({*requests, *limits}):
                vendor = str(name).partition("/")[0]
                if "/" not in str(name) or vendor.endswith("kubernetes.io"):
                    continue
                asked, most = requests.get(name, limits.get(name)), limits.get(name)
                if str(asked) != str(most):
                    text = f"requests {asked} of {name} and is limited to {'none' if most is None else most}"
                    yield Hit((*pod.path, "resources"), text, about=pod.about)


def _idle_devices(subject: Subject) -> Iterator[Hit]:
    for path, workload in subject.models:
        spec = workload.spec
        if spec.runtime is Runtime.LLAMACPP or any("data-parallel-size" in word for word in spec.args):
            continue
        serving = subject.serving(workload)
        used = spec.parallel.tensor if isinstance(serving, Unknown) else serving.tensor
        if workload.gpus > used:
            yield Hit((*path, "gpus"), f"a pod takes {workload.gpus} GPUs, and its server uses {used}")


RULES = (
    Rule(
        "WTS101",
        "weights-do-not-fit",
        Severity.ERROR,
        "Weights do not fit the GPUs",
        "The server ends with `CUDA out of memory` or `No available memory for the cache blocks` after it has loaded "
        "for minutes, and begins again.",
        "Use more or larger GPUs (`parallel.tensor`, `gpu.product`), or fewer bits a weight (`quantization: fp8`, "
        "from Ampere on). `wtsctl plan -v` shows the arithmetic and the smallest change that fits.",
        "docs/explanation/fit.md; formulas of kaito-project/kaito, pkg/workspace/estimator",
        _too_large,
    ),
    Rule(
        "WTS102",
        "context-does-not-fit",
        Severity.ERROR,
        "Longest context does not fit into the KV cache",
        "vLLM refuses to start: `To serve at least one request with the model's max seq len, ... GiB KV cache is "
        "needed, which is larger than the available KV cache memory`.",
        "Lower `maxModelLen`, or use more GPUs.",
        "vllm-project/vllm issues 2418, 10517; docs/explanation/fit.md",
        _too_long,
    ),
    Rule(
        "WTS103",
        "heads-not-divisible",
        Severity.ERROR,
        "Attention heads or layers cannot be shared out to the GPUs",
        "vLLM refuses to start: `Total number of attention heads must be divisible by tensor parallel size`. More "
        "pipeline stages than layers leave stages with nothing to do.",
        "Use a tensor parallel size that divides the heads and the key/value heads: commonly 1, 2, 4 or 8; and no more "
        "pipeline stages than the model has layers.",
        "vllm-project/vllm, vllm/config/model.py, verify_with_parallel_config",
        _indivisible,
    ),
    Rule(
        "WTS104",
        "context-beyond-model",
        Severity.ERROR,
        "Longest context is longer than the model was made for",
        "vLLM refuses to start: `User-specified max_model_len is greater than the derived max_model_len`. Forced to, "
        "it gives answers that make no sense past that point.",
        "Lower `maxModelLen` to `max_position_embeddings` of the model's config.json, or scale RoPE as its card says "
        "(`--hf-overrides`), or point `config` to a config.json that does.",
        "vllm-project/vllm, vllm/config/model.py, _get_and_verify_max_len",
        _beyond_position,
    ),
    Rule(
        "WTS105",
        "bfloat16-not-computed",
        Severity.ERROR,
        "GPU that does not compute bfloat16",
        "vLLM refuses to start: `Bfloat16 is only supported on GPUs with compute capability of at least 8.0`.",
        "Set `dtype: half`, or leave it out: vLLM then falls back to float16 by itself.",
        "vllm-project/vllm issue 1157",
        _bfloat16,
    ),
    Rule(
        "WTS106",
        "fit-not-checked",
        Severity.INFO,
        "Fit on its GPUs is not checked",
        "Nothing is known of the model's shape or of the GPU's memory, so nothing was found, which does not mean that"
        " there is nothing to find.",
        "Point `config` to the model's config.json.",
        "",
        _not_known,
    ),
    Rule(
        "WTS107",
        "memory-limit-below-offload",
        Severity.ERROR,
        "Memory limit below what the server keeps there",
        "What is offloaded to the CPU is pinned: it can be neither swapped nor given back, and the container is "
        "killed as OOMKilled. Weights that are only loaded are another matter: safetensors files are mapped, their "
        "pages can be given back, and a limit below their size makes a start slower, not impossible.",
        "Raise `resources.limits.memory`, or offload less.",
        "docs.vllm.ai, Engine Arguments",
        _offloaded,
    ),
    Rule(
        "WTS108",
        "no-shared-memory",
        Severity.ERROR,
        "Tensor parallel without /dev/shm",
        "NCCL ends with `Error while creating shared memory segment /dev/shm/nccl-...` when the workers begin to talk"
        " to each other.",
        "Mount an emptyDir of medium Memory at /dev/shm, as our templates do.",
        "vllm-project/production-stack issue 276",
        _no_shm,
    ),
    Rule(
        "WTS109",
        "shared-memory-size",
        Severity.WARNING,
        "Shared memory does not go with the memory limit",
        "A volume of medium Memory counts against the memory limit of the container that fills it. One as large as "
        "the limit does not keep the pod from being OOMKilled; one that is too small fails as none at all does.",
        "Raise `resources.limits.memory`: /dev/shm gets 4Gi a GPU, half of the limit at most.",
        "kubernetes.io/docs/concepts/storage/volumes, emptyDir",
        _small_shm,
    ),
    Rule(
        "WTS110",
        "devices-requested-unequal",
        Severity.ERROR,
        "GPUs are requested and limited unequally",
        "The API server refuses the pod: extended resources cannot be overcommitted, so that requests and limits have"
        " to be equal, and a request alone is not enough.",
        "Give both the same number, or the limit alone.",
        "kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus",
        _unequal_devices,
    ),
    Rule(
        "WTS111",
        "devices-unused",
        Severity.WARNING,
        "GPUs that the server does not use",
        "They are taken from everybody else, and nothing runs on them.",
        "Set `parallel.tensor` to the number of GPUs, or leave `gpus` out.",
        "",
        _idle_devices,
    ),
)
