"""A model that KServe serves: what its InferenceService says that depends on the server and on KServe's version."""

from __future__ import annotations

from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Model
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.workload import Workload, predictor_app
from wtsctl.render import chat_template
from wtsctl.render.arguments import engine_arguments, frontend_arguments
from wtsctl.render.platform import TOKEN_SERVICE_ACCOUNT
from wtsctl.render.pod import environment, pod_security

# Where both servers listen; the ServingRuntimes of both say so.
_PORT = 8080
# OpenShift assigns a user without a home; /tmp is anybody's to write. Every cache of vLLM is below HOME.
_ENVIRONMENT = {"HOME": "/tmp", "USER": "kserve", "HF_HOME": "/tmp/hf_home"}  # noqa: S108 - in the container
_STANDARD = (0, 16)
# 0.15.0 does not take `none`; 0.15.2 does.
_WITHOUT_AUTOSCALER = (0, 15, 2)
_REASONING_IS_ON = (0, 16)


def variables(catalog: Catalog, workload: Workload) -> dict[str, Any]:
    """Variables of `kserve/`, beside those of every runtime.

    `arguments` come behind those of the ServingRuntime; `podSecurityContext` names a user for vLLM's image alone, since
    that of KServe's own server is not root.

    Variables:
        deploymentMode: what this KServe calls a plain Deployment
        autoscalerClass: who scales it: `external` (KEDA or our HorizontalPodAutoscaler), `none`, or `hpa`, where KServe
            is too old for `none`
        storageUri: where the weights are, or `none` where the server downloads them itself
        serviceAccount: ServiceAccount of the pods, or `none`
        probePath: what answers once the model is loaded
        predictorApp: label `app` of KServe's pods
    """
    spec, version = workload.spec, catalog.defaults.kserve_release
    fixed = "none" if version >= _WITHOUT_AUTOSCALER else "hpa"
    user = catalog.defaults.run_as_user if spec.kserve.runs == "vllm" else None
    return {
        "deploymentMode": "Standard" if version >= _STANDARD else "RawDeployment",
        "autoscalerClass": "external" if spec.autoscale else fixed,
        "storageUri": _storage_uri(spec),
        "serviceAccount": _service_account(catalog, spec),
        "arguments": _arguments(workload, version),
        "environment": environment(_environment(catalog, workload), spec.env),
        "probePath": "/health" if spec.kserve.runs == "vllm" else f"/v2/models/{spec.name}/ready",
        "predictorApp": predictor_app(workload.object_name),
        "port": _PORT,
        "podSecurityContext": pod_security(user),
    }


def _storage_uri(spec: Model) -> str | None:
    """Where the weights are, as KServe writes it; a plain id is one of Hugging Face."""
    if spec.kserve.download_by == "server":
        return None
    return spec.model if "://" in spec.model else f"hf://{spec.model}"


def _service_account(catalog: Catalog, spec: Model) -> str | None:
    """The ServiceAccount whose Secrets KServe gives to its init container.

    Variables of the server never reach that container (kserve/kserve#4400).
    """
    if spec.kserve.service_account:
        return spec.kserve.service_account
    uri = _storage_uri(spec)
    return TOKEN_SERVICE_ACCOUNT if uri and uri.startswith("hf://") and catalog.secrets.huggingface else None


def _arguments(workload: Workload, version: tuple[int, ...]) -> list[str]:
    """KServe's huggingface server hands all it does not know itself to vLLM, and drops what that does not know either.

    It knows one name. vLLM puts the served name on its metrics, which would otherwise carry the path of the weights.
    Tensor parallelism it sets itself, to all the GPUs it sees.
    """
    spec = workload.spec
    repository = spec.model.removeprefix("hf://") if spec.kserve.download_by == "server" else None
    if spec.kserve.runs == "vllm":
        names = ["--served-model-name", *workload.names]
        source = ["--model", repository] if repository else []
    else:
        names = [f"--model_name={spec.name}", f"--served-model-name={spec.name}"]
        source = [f"--model_id={repository}"] if repository else []
        if spec.reasoning_parser and version < _REASONING_IS_ON:
            source.append("--enable-reasoning")
    frontend = frontend_arguments(spec, chat_template.path(spec.chat_template))
    return [*names, *source, *engine_arguments(spec), *frontend, *spec.args]


def _environment(catalog: Catalog, workload: Workload) -> dict[str, str | SecretReference]:
    kserve, token = workload.spec.kserve, catalog.secrets.huggingface
    ours: dict[str, str | SecretReference] = dict(_ENVIRONMENT)
    if kserve.runs == "huggingface" and kserve.prefix == "/v1":
        # What stands before /v1, nothing here; /openai where it is not set (kserve/protocol/rest/openai/endpoints.py).
        ours["KSERVE_OPENAI_ROUTE_PREFIX"] = ""
    if kserve.download_by == "server" and token:
        ours["HF_TOKEN"] = token
    if workload.spec.api_key:
        ours["VLLM_API_KEY"] = workload.spec.api_key
    return ours
