"""What is wrong within a model that KServe serves, or with `kserve` where KServe does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wtsctl.catalog.document import Defaults
from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model, Runtime
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import dns_label, predictor_app, predictor_name

_MAX_LABEL = 63
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
# A volume, or an image beside the server.
_MOUNTED = ("pvc://", "oci://", "oci+native://")
_STORAGE_CONTAINER = (0, 20)
_LEAVE_OUT = "leave it out"


def kserve_faults(path: Path, model: Model) -> Iterator[Fault]:
    """Every fault of one model that has to do with KServe.

    Facts: github.com/kserve/kserve, python/huggingfaceserver (`__main__.py`, `vllm/vllm_model.py`) and
    pkg/apis/serving/v1beta1.
    """
    if model.runtime is not Runtime.KSERVE:
        if "kserve" in model.model_fields_set:
            yield Fault(Code.NO_EFFECT, (*path, "kserve"), _without(model.runtime), _LEAVE_OUT, at_key=True)
        return
    yield from _names(path, model)
    yield from _unused(path, model)
    if model.replicas == 0 and model.autoscale is None:
        # website/docs/modelserving/autoscaling/raw_deployment_autoscaling.md
        text = "expected at least 1 for kserve, which cannot start from no pods, got 0"
        yield Fault(Code.VALUE, (*path, "replicas"), text)
    if model.model.startswith("/"):
        text = f"expected a Hugging Face id or an address such as pvc://CLAIM/FOLDER, got '{model.model}'"
        yield Fault(Code.VALUE, (*path, "model"), text)
    yield from _download(path, model)
    if model.kserve.runs == "vllm" and model.kserve.openai_prefix == "/openai/v1":
        text = "vLLM's own server serves the API under /v1"
        yield Fault(Code.VALUE, (*path, "kserve", "openaiPrefix"), text, _LEAVE_OUT)
    if model.kserve.runs == "huggingface":
        yield from _huggingface(path, model)


def version_faults(defaults: Defaults, models: Iterable[tuple[int, Model]]) -> Iterator[Fault]:
    """Keys that the KServe of the cluster does not know; it would refuse the InferenceService."""
    for index, model in models:
        if model.kserve.storage_container and defaults.kserve_release < _STORAGE_CONTAINER:
            text = f"needs KServe 0.20, and defaults.kserveVersion is {defaults.kserve_version}"
            yield Fault(Code.VALUE, ("models", index, "kserve", "storageContainer"), text, _LEAVE_OUT, at_key=True)


def unlisted_faults(stack: LlamaStack, models: Iterable[tuple[int, Model]]) -> Iterator[Fault]:
    """Models that a Llama Stack of 0.2 would not find in their servers' lists, without which it does not start.

    llama-stack 0.2.12, providers/remote/inference/vllm/vllm.py, register_model; 0.7 does not ask.
    """
    behind = {*stack.models, stack.safety}
    for index, model in models:
        kserve = model.kserve
        renamed = model.runtime is Runtime.KSERVE and kserve.runs == "huggingface" and kserve.prefix == "/v1"
        if stack.reads_run_yaml and renamed and behind & {model.name, *model.aliases}:
            text = (
                f"Llama Stack {stack.version} looks for '{model.name}' at /v1/models, where KServe lists it otherwise"
            )
            hint = "leave it out, or use Llama Stack 0.7"
            yield Fault(Code.VALUE, ("models", index, "kserve", "openaiPrefix"), text, hint)


def _huggingface(path: Path, model: Model) -> Iterator[Fault]:
    gpus, tensor = model.gpus, model.parallel.tensor
    if gpus is not None and gpus > tensor:
        text = f"KServe's huggingface server splits the model over all {gpus} GPUs of its pod, not over {tensor}"
        yield Fault(Code.VALUE, (*path, "gpus"), text, "set gpus and parallel.tensor to the same number")
    if model.api_key is not None:
        text = "KServe's huggingface server asks nobody for a key"
        hint = "serve it with vllm, or with a ServingRuntime of vLLM's own server (kserve.format: vLLM)"
        yield Fault(Code.VALUE, (*path, "apiKey"), text, hint, at_key=True)


def _download(path: Path, model: Model) -> Iterator[Fault]:
    if model.kserve.download_by == "server":
        if _SCHEME.match(model.model) and not model.model.startswith("hf://"):
            text = f"the server itself downloads from Hugging Face alone, and this is '{model.model}'"
            yield Fault(Code.VALUE, (*path, "kserve", "downloadBy"), text, _LEAVE_OUT)
        why = "the server itself downloads the weights"
    elif model.model.startswith(_MOUNTED):
        why = "nothing is downloaded for it"
    else:
        return
    for key, value in (
        ("storageContainer", model.kserve.storage_container),
        ("serviceAccount", model.kserve.service_account),
    ):
        if value is not None:
            yield Fault(Code.NO_EFFECT, (*path, "kserve", key), f"has no effect: {why}", _LEAVE_OUT, at_key=True)


def _names(path: Path, model: Model) -> Iterator[Fault]:
    label = dns_label(model.name)
    if len(predictor_app(label)) > _MAX_LABEL:
        text = f"KServe labels its pods '{predictor_app(label)}', which has more than {_MAX_LABEL} characters"
        yield Fault(Code.VALUE, (*path, "name"), text, "give the model a shorter name, and this one as an alias")
    if model.service and model.service.name == predictor_name(label):
        text = f"'{model.service.name}' is KServe's own Service"
        yield Fault(Code.VALUE, (*path, "service", "name"), text, "name another one, or leave out `service`")


def _unused(path: Path, model: Model) -> Iterator[Fault]:
    if model.image is not None:
        text = f"{_without(Runtime.KSERVE)}: the image is that of KServe's ServingRuntime"
        yield Fault(Code.NO_EFFECT, (*path, "image"), text, _LEAVE_OUT, at_key=True)
    if model.parallel.pipeline > 1:
        text = f"{_without(Runtime.KSERVE)}, whose pods are each a whole copy"
        yield Fault(Code.NO_EFFECT, (*path, "parallel", "pipeline"), text, "serve it with vllm", at_key=True)
    for key, value in (("lora", model.lora), ("download", model.download)):
        if value is not None:
            yield Fault(Code.NO_EFFECT, (*path, key), _without(Runtime.KSERVE), "serve it with vllm", at_key=True)


def _without(runtime: Runtime) -> str:
    return f"has no effect with runtime {runtime.value}"
