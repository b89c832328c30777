"""What the rendered objects hold: the traps of serving models on Kubernetes, each shown closed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.catalogs import SMALL, STACK, changed, loaded
from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.errors import TemplateError
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest, render
from wtsctl.render.pod import shared_memory, startup_probe, strategy
from wtsctl.render.tree import stream

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = read_templates(None)
GRANITE = "llm/Deployment/granite-8b"
CACHE = "cache: {claim: weights, size: 10Gi}\n"
TOKEN = "secrets: {huggingface: {name: hf, key: HF_TOKEN}}\n"


def rendered(text: str = SMALL + STACK, *, selected: set[str] | None = None) -> dict[str, Manifest]:
    """The manifests of a catalog's text by identity, in order."""
    return {manifest.identity: manifest for manifest in render(loaded(text).catalog, TEMPLATES, selected)}


def workshop() -> dict[str, Manifest]:
    """The manifests of the project's own models.yaml."""
    catalog = read_catalog(ROOT / "models.yaml", None).catalog
    return {manifest.identity: manifest for manifest in render(catalog, TEMPLATES)}


def pod(manifest: Manifest) -> dict[str, Any]:
    """The pod's spec of a Deployment."""
    spec: dict[str, Any] = manifest.doc["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> dict[str, Any]:
    """The one container of a Deployment."""
    (only,) = pod(manifest)["containers"]
    assert isinstance(only, dict)
    return only


def predictor(manifest: Manifest) -> dict[str, Any]:
    """The pods of an InferenceService."""
    spec: dict[str, Any] = manifest.doc["spec"]["predictor"]
    return spec


def environment(manifest: Manifest) -> dict[str, Any]:
    """A container's environment: values as text, references as they are."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(manifest)["env"]}


def after(arguments: list[str], flag: str) -> str:
    """The argument after a flag."""
    return arguments[arguments.index(flag) + 1]


def test_order_is_that_of_a_deploy() -> None:
    """Namespaces come first, then configuration, then models in file order, then Llama Stack."""
    manifests = list(rendered(changed(("models:", CACHE + TOKEN + "models:"))).values())
    assert [manifest.stage for manifest in manifests] == sorted(manifest.stage for manifest in manifests)
    assert [manifest.identity for manifest in manifests] == [
        "Namespace/llm",
        "Namespace/llama-stack",
        "llm/PersistentVolumeClaim/weights",
        "llm/ServiceAccount/huggingface-token",
        "llama-stack/ConfigMap/llamastack-server-config",
        "llama-stack/PersistentVolumeClaim/llamastack-server-data",
        "llm/Service/granite-8b",
        GRANITE,
        "llm/InferenceService/llama-3b",
        "llm/Service/llama-guard",
        "llm/Deployment/llama-guard",
        "llm/PodDisruptionBudget/granite-8b",
        "llm/PodDisruptionBudget/llama-3b",
        "llm/PodDisruptionBudget/llama-guard",
        "llama-stack/Service/llamastack-server",
        "llama-stack/Deployment/llamastack-server",
        "llama-stack/PodDisruptionBudget/llamastack-server",
    ]


def test_manifest_says_where_it_comes_from() -> None:
    """A manifest names its kind, place, template, model, stage and folder."""
    made = workshop()["llama-serve/Deployment/vllm-watt-8b"]
    assert (made.api_version, made.kind, made.name, made.namespace) == (
        "apps/v1", "Deployment", "vllm-watt-8b", "llama-serve",
    )  # fmt: skip
    assert (made.template, made.model, made.stage, made.path) == (
        "vllm/deployment.yaml.j2", "watt-8b", Stage.MODELS, "llama-serve/watt-8b",
    )  # fmt: skip
    assert workshop()["Namespace/llama-serve"].namespace is None


def test_selection_leaves_out_what_it_does_not_need() -> None:
    """One selected model brings its namespace along, but not the claim, account or Llama Stack of the others."""
    text = changed(("models:", CACHE + TOKEN + "models:"))
    assert list(rendered(text, selected={"llama-3b"})) == [
        "Namespace/llm", "llm/ServiceAccount/huggingface-token", "llm/InferenceService/llama-3b",
        "llm/PodDisruptionBudget/llama-3b",
    ]  # fmt: skip
    assert list(rendered(text, selected={"granite-8b"})) == [
        "Namespace/llm", "llm/PersistentVolumeClaim/weights", "llm/Service/granite-8b", GRANITE,
        "llm/PodDisruptionBudget/granite-8b",
    ]  # fmt: skip
    assert rendered(text, selected=set()) == {}


@pytest.mark.parametrize("selected", [None, {"granite-8b"}])
def test_the_catalogs_own_namespace_is_there_without_models(selected: set[str] | None) -> None:
    """The lock, the members and the records lie there, and CI's account may write them."""
    text = changed(
        ("  namespace: llm", "  namespace: home"),
        ("models:", "platform: {access: {mode: on, level: deploy, namespace: ci}}\nmodels:"),
        text=SMALL.replace("  role:", "  namespace: elsewhere\n  role:"),
    )
    made = rendered(text, selected=selected)
    assert {"Namespace/home", "Namespace/elsewhere"} <= set(made)
    assert not [name for name in made if name.startswith("home/") and "wtsctl-ci" not in name]
    if selected is None:
        rules = made["home/Role/wtsctl-ci"].doc["rules"]
        kept = [one["resources"] for one in rules if "create" in one["verbs"]]
        assert kept == [["leases"], ["configmaps"]]


def test_same_catalog_renders_the_same_bytes() -> None:
    """Rendering has no clock, no random order and no state between calls."""
    catalog = read_catalog(ROOT / "models.yaml", None).catalog
    assert stream(render(catalog, TEMPLATES)) == stream(render(catalog, read_templates(None)))


def test_no_two_manifests_share_a_part() -> None:
    """Changing one object's labels changes no other object."""
    made = render(loaded(SMALL).catalog, TEMPLATES)
    parts = [id(node) for manifest in made for node in _containers(manifest.doc)]
    assert len(parts) == len(set(parts))


def _containers(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return ([node] if isinstance(node, (dict, list)) else []) + [
        inner for child in children for inner in _containers(child)
    ]


def test_two_models_of_one_object_name_are_refused() -> None:
    """Two objects of one identity would overwrite each other: the error names both models."""
    catalog = loaded(SMALL).catalog
    twin = catalog.models[0].model_copy(update={"name": "Granite.8b", "aliases": ()})
    both = catalog.model_copy(update={"models": (*catalog.models, twin)})
    with pytest.raises(TemplateError, match="llm/Service/granite-8b is rendered twice") as caught:
        render(both, TEMPLATES)
    assert "granite-8b and Granite.8b" in str(caught.value)


def test_secrets_are_named_and_never_rendered() -> None:
    """The token is a reference to a Secret, and no Secret is among the objects."""
    made = workshop()
    assert not [manifest for manifest in made.values() if manifest.kind == "Secret"]
    token = environment(made["llama-serve/Deployment/vllm-watt-8b"])["HF_TOKEN"]
    assert token == {"secretKeyRef": {"name": "huggingface-secret", "key": "HF_TOKEN"}}
    assert "HF_TOKEN" not in environment(rendered(SMALL)[GRANITE])


def test_adr_numbers_of_the_70b() -> None:
    """The ADR's 70B: four GPUs in one pod, 128,000 tokens, its memory and cores, and its object name."""
    made = workshop()["llama-serve/Deployment/vllm-llama31-70b"]
    arguments = container(made)["args"]
    assert (after(arguments, "--tensor-parallel-size"), after(arguments, "--max-model-len")) == ("4", "128000")
    assert container(made)["resources"] == {
        "requests": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "4"},
        "limits": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "4"},
    }


def test_vllm_answers_to_name_and_aliases() -> None:
    """A request for an alias would get 404 if the server had not been told it (vllm#3486)."""
    arguments = container(rendered(SMALL)[GRANITE])["args"]
    start = arguments.index("--served-model-name")
    assert arguments[start : start + 4] == ["--served-model-name", "granite-8b", "granite", "--host"]
    assert arguments[0] == "ibm-granite/granite-3.1-8b-instruct"


def test_user_arguments_come_last() -> None:
    """What the user adds can override ours: both servers take the last of two equal flags."""
    text = changed(("  maxModelLen: 8192\n", "  maxModelLen: 8192\n  args: [--max-model-len, '4096']\n"))
    assert container(rendered(text)[GRANITE])["args"][-2:] == ["--max-model-len", "4096"]


@pytest.mark.parametrize("seconds", [1, 119.5, 120, 300, 301, 900, 1800, 3600, 86400])
def test_startup_probe_covers_the_load(seconds: float) -> None:
    """The probe's budget is never shorter than the start (aibrix#772), and at most one period longer."""
    probe = startup_probe(seconds)
    assert 0 <= probe["periodSeconds"] * probe["failureThreshold"] - seconds < probe["periodSeconds"]


def test_progress_deadline_is_over_pull_and_load() -> None:
    """A slow load is not a failed rollout (KS#3795): the default of 600 s would be over before the 70B is up."""
    made = workshop()["llama-serve/Deployment/vllm-llama31-70b"]
    probe = container(made)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 3600
    assert made.doc["spec"]["progressDeadlineSeconds"] == 3600 + 900


def test_shared_memory_for_tensor_parallel() -> None:
    """/dev/shm is large enough for NCCL (PS#276): 16Gi for four GPUs, inside the memory limit."""
    made = pod(workshop()["llama-serve/Deployment/vllm-llama31-70b"])
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16384Mi"}} in made["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in made["containers"][0]["volumeMounts"]
    assert shared_memory(4, "16Gi") == "8192Mi"
    assert shared_memory(1, "64Gi") is None
    assert "shm" not in str(pod(rendered(SMALL)[GRANITE]))


@pytest.mark.parametrize(
    ("replicas", "mode", "kind"),
    [
        (1, "ReadWriteMany", "Recreate"),
        (0, None, "Recreate"),
        (2, "ReadWriteOnce", "Recreate"),
        (2, "ReadWriteOncePod", "Recreate"),
        (2, "ReadWriteMany", "RollingUpdate"),
        (2, None, "RollingUpdate"),
    ],
)
def test_strategy_never_needs_more_gpus(replicas: int, mode: str | None, kind: str) -> None:
    """No rollout waits for GPUs that its own old pods hold (LLMKube#192), nor for their volume (PS#107)."""
    made = strategy(replicas, mode)
    assert made["type"] == kind
    assert made.get("rollingUpdate", {}).get("maxSurge", 0) == 0


def test_gpu_pods_land_on_their_nodes() -> None:
    """GPU pods tolerate the taint of GPU nodes and ask for the product; a pod without GPUs does neither."""
    made = pod(workshop()["llama-serve/Deployment/vllm-watt-8b"])
    assert made["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert made["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
    bare = pod(rendered(changed(("  maxModelLen: 8192\n", "  gpus: 0\n  maxModelLen: 8192\n")))[GRANITE])
    assert not {"tolerations", "nodeSelector"} & bare.keys()
    assert "nvidia.com/gpu" not in bare["containers"][0]["resources"]["limits"]


def test_service_links_are_off() -> None:
    """A Service called `vllm` would set VLLM_PORT to a URI, and vLLM would not start (vllm#34199)."""
    made = workshop().values()
    pods = [pod(manifest) for manifest in made if manifest.kind == "Deployment"]
    pods += [manifest.doc["spec"]["predictor"] for manifest in made if manifest.kind == "InferenceService"]
    assert len(pods) == 6
    assert all(spec["enableServiceLinks"] is False for spec in pods)


def test_arbitrary_user_has_a_home() -> None:
    """OpenShift's user has no passwd entry and no home: USER answers for getpwuid, caches are on volumes."""
    made = rendered(changed(("models:", CACHE + "models:")))[GRANITE]
    mounts = [mount["mountPath"] for mount in container(made)["volumeMounts"]]
    values = environment(made)
    assert values["USER"]
    for name in ("HOME", "HF_HOME", "VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TRITON_CACHE_DIR",
                 "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME"):  # fmt: skip
        assert any(f"{values[name]}/".startswith(f"{mount}/") for mount in mounts), name
    # A mount inside another would leave its parent to root, and nothing else could be made there.
    assert not [(a, b) for a in mounts for b in mounts if a != b and a.startswith(f"{b}/")]


def test_user_is_named_only_where_the_catalog_names_one() -> None:
    """OpenShift refuses a pod that names its user; elsewhere an image whose user is root needs one."""
    assert "runAsUser" not in stream(render(loaded(SMALL + STACK).catalog, TEMPLATES))
    text = changed(("  namespace: llm\n", "  namespace: llm\n  runAsUser: 2000\n"))
    made = rendered(text)
    for identity in (GRANITE, "llama-stack/Deployment/llamastack-server"):
        context = pod(made[identity])["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (2000, 0, 0)
    # The image of KServe's runtime has a numeric user of its own.
    assert "runAsUser" not in made["llm/InferenceService/llama-3b"].doc["spec"]["predictor"]["securityContext"]


@pytest.mark.parametrize("profile", [None, "sandbox"])
def test_pods_are_restricted(profile: str | None) -> None:
    """Every Deployment meets the `restricted` Pod Security Standard's rules for its pods."""
    catalog = read_catalog(ROOT / "models.yaml", profile).catalog
    deployments = [made for made in render(catalog, TEMPLATES) if made.kind == "Deployment"]
    assert deployments
    for made in deployments:
        assert pod(made)["securityContext"]["runAsNonRoot"] is True
        assert pod(made)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        context = container(made)["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert pod(made)["automountServiceAccountToken"] is False


def test_weights_outlive_the_pod_only_with_a_cache() -> None:
    """The weights' volume is the claim where there is one, and the claim exists once per namespace."""
    text = changed(("models:", CACHE + "models:"))
    made = rendered(text)
    weights = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}
    assert weights in pod(made[GRANITE])["volumes"]
    assert weights in pod(made["llm/Deployment/llama-guard"])["volumes"]
    assert [identity for identity in made if "PersistentVolumeClaim/weights" in identity] == [
        "llm/PersistentVolumeClaim/weights"
    ]
    assert {"name": "weights", "emptyDir": {}} in pod(rendered(SMALL)[GRANITE])["volumes"]


def test_shutdown_has_time_for_open_requests() -> None:
    """The grace period is longer than the pause and the drain; a single pod does not pause."""
    made = rendered(changed(("  maxModelLen: 8192\n", "  replicas: 2\n  maxModelLen: 8192\n")))[GRANITE]
    pause = int(container(made)["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = int(after(container(made)["args"], "--shutdown-timeout"))
    assert pod(made)["terminationGracePeriodSeconds"] > pause + drain
    assert "lifecycle" not in container(rendered(SMALL)[GRANITE])


def test_selector_survives_every_edit() -> None:
    """A Deployment's selector is immutable: neither runtime nor installation name nor alias may be in it."""
    before = rendered(SMALL)[GRANITE].doc["spec"]["selector"]
    text = changed(
        ("name: small", "name: renamed"), ("aliases: [granite]", "aliases: [other]"),
        ("runtime: vllm", "runtime: llamacpp"),
        ("model: ibm-granite/granite-3.1-8b-instruct", "model: /weights/granite.gguf"),
        ('images: {vllm: "vllm/vllm-openai:v0.33.0"}', "images: {vllm: v:1, llamacpp: l:1}"), text=SMALL,
    )  # fmt: skip
    after_edit = rendered(text)[GRANITE].doc["spec"]
    assert after_edit["selector"] == before
    assert before["matchLabels"].items() <= after_edit["template"]["metadata"]["labels"].items()


def test_service_finds_its_pods() -> None:
    """Each Service selects the pods of exactly one Deployment or InferenceService, and its target port exists there."""
    made = workshop().values()
    pods = [
        (one.namespace, one.doc["spec"]["template"]["metadata"]["labels"], container(one))
        for one in made
        if one.kind == "Deployment"
    ]
    # What KServe calls its pods, beside the labels of the InferenceService.
    pods += [
        (one.namespace, one.doc["metadata"]["labels"] | {"app": f"isvc.{one.name}-predictor"}, predictor(one)["model"])
        for one in made
        if one.kind == "InferenceService"
    ]
    # One without a selector is another name of one with.
    services = [one for one in made if one.kind == "Service" and "externalName" not in one.doc["spec"]]
    assert len(services) == len(pods)
    for service in services:
        wanted = service.doc["spec"]["selector"].items()
        (found,) = [
            server for namespace, named, server in pods if namespace == service.namespace and wanted <= named.items()
        ]
        ports = [port[key] for port in found["ports"] for key in ("name", "containerPort")]
        assert service.doc["spec"]["ports"][0]["targetPort"] in ports


def test_kserve_is_ready_only_when_the_model_is() -> None:
    """KServe's default probe passes before vLLM has loaded: ours asks for the model itself."""
    model = rendered()["llm/InferenceService/llama-3b"].doc["spec"]["predictor"]["model"]
    for probe in ("startupProbe", "readinessProbe"):
        assert model[probe]["httpGet"] == {"path": "/v2/models/llama-3b/ready", "port": 8080}
    assert "--model_name=llama-3b" in model["args"]


def test_kserve_token_comes_by_service_account() -> None:
    """The storage initializer never sees the container's environment (KS#4400): the account names the Secret."""
    made = rendered(changed(("models:", TOKEN + "models:")))
    account = made["llm/ServiceAccount/huggingface-token"]
    predictor = made["llm/InferenceService/llama-3b"].doc["spec"]["predictor"]
    assert account.doc["secrets"] == [{"name": "hf"}]
    assert predictor["serviceAccountName"] == account.name
    assert "serviceAccountName" not in rendered(SMALL)["llm/InferenceService/llama-3b"].doc["spec"]["predictor"]


def test_kserve_states_resources_and_strategy() -> None:
    """The runtime's default of 1 CPU and 2Gi fits no language model, and its default rollout needs a second GPU."""
    predictor = rendered()["llm/InferenceService/llama-3b"].doc["spec"]["predictor"]
    assert predictor["model"]["resources"]["limits"] == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}
    assert predictor["deploymentStrategy"] == {"type": "Recreate"}
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)


def test_llamacpp_takes_flags_of_upstream() -> None:
    """The sandbox's pods are started with llama-server's own flags, by the image's own entry point."""
    catalog = read_catalog(ROOT / "models.yaml", "sandbox").catalog
    made = {manifest.identity: manifest for manifest in render(catalog, TEMPLATES)}[
        "llama-serve/Deployment/vllm-granite-8b"
    ]
    arguments = container(made)["args"]
    assert "command" not in container(made)
    assert after(arguments, "--alias") == "granite-8b,granite"
    assert (after(arguments, "--ctx-size"), after(arguments, "--parallel")) == ("2048", "1")
    assert (after(arguments, "--threads"), after(arguments, "--port")) == ("1", "8000")
    assert container(made)["securityContext"]["readOnlyRootFilesystem"] is True


def llama_stack_config(made: dict[str, Manifest]) -> dict[str, Any]:
    """The configuration inside the ConfigMap."""
    config = yaml.safe_load(made["llama-stack/ConfigMap/llamastack-server-config"].doc["data"]["config.yaml"])
    assert isinstance(config, dict)
    return config


def test_llama_stack_reaches_each_model_at_its_own_path() -> None:
    """The prefix belongs to the runtime: KServe's API is under /openai/v1, vLLM's under /v1."""
    providers = llama_stack_config(rendered())["providers"]["inference"]
    urls = {provider["provider_id"]: provider["config"].get("base_url") for provider in providers}
    assert urls["llama-3b"] == "http://llama-3b-predictor.llm.svc.cluster.local:80/openai/v1"
    assert urls["llama-guard"] == "http://llama-guard.llm.svc.cluster.local:8000/v1"
    # `url` instead of `base_url` has been a start-up error since Llama Stack 0.4.
    assert not [provider for provider in providers if "url" in provider["config"]]


def test_llama_stack_guard_is_a_registered_model() -> None:
    """The shield names the guard as Llama Stack knows it, PROVIDER/MODEL, and that model is registered."""
    config = llama_stack_config(rendered())
    (shield,) = config["registered_resources"]["shields"]
    known = {f"{m['provider_id']}/{m['provider_model_id']}" for m in config["registered_resources"]["models"]}
    assert shield["provider_shield_id"] == "llama-guard/llama-guard"
    assert shield["provider_shield_id"] in known
    assert config["safety"] == {"default_shield_id": shield["shield_id"]}


def test_llama_stack_asks_for_no_more_tokens_than_the_model_has() -> None:
    """A model whose context is shorter than Llama Stack's default answer limits it."""
    text = changed(("  role: chat\n  maxModelLen: 8192", "  role: chat\n  maxModelLen: 1024"))
    providers = llama_stack_config(rendered(text))["providers"]["inference"]
    limits = {provider["provider_id"]: provider["config"].get("max_tokens") for provider in providers}
    assert (limits["llama-3b"], limits["llama-guard"]) == (1024, 4096)


def test_llama_stack_restarts_when_its_configuration_changes() -> None:
    """The pods carry a hash of what the configuration says; a comment in its template changes nothing."""
    key = "wtsctl/config-sha256"

    def config_hash(text: str, templates: dict[str, str]) -> str:
        made = {manifest.identity: manifest for manifest in render(loaded(text).catalog, templates)}
        stack = made["llama-stack/Deployment/llamastack-server"].doc
        return str(stack["spec"]["template"]["metadata"]["annotations"][key])

    same = config_hash(SMALL + STACK, TEMPLATES)
    name = "llama-stack/config.yaml.j2"
    assert re.fullmatch("[0-9a-f]{64}", same)
    assert config_hash(SMALL + STACK, TEMPLATES | {name: "# a comment\n" + TEMPLATES[name]}) == same
    assert config_hash(changed(("minilm", "other")), TEMPLATES) != same


def test_llama_stack_data_has_one_writer() -> None:
    """SQLite and Milvus Lite take one writer: one pod, replaced rather than rolled, on a claim of its own."""
    made = rendered()["llama-stack/Deployment/llamastack-server"]
    assert (made.doc["spec"]["replicas"], made.doc["spec"]["strategy"]) == (1, {"type": "Recreate"})
    volumes = {volume["name"]: volume for volume in pod(made)["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "llamastack-server-data"
    mounts = {mount["name"]: mount["mountPath"] for mount in container(made)["volumeMounts"]}
    assert mounts["data"] == "/.llama"
    assert after(container(made)["command"], "--port") == "8321"


def test_llama_stack_can_be_off() -> None:
    """`enabled: false` renders nothing of it."""
    text = changed(("  namespace: llama-stack\n", "  enabled: false\n  namespace: llama-stack\n"))
    assert not [identity for identity in rendered(text) if "llama-stack" in identity or "llamastack" in identity]


def test_every_object_is_labelled() -> None:
    """The recommended labels are on each object, so that `kubectl get -l` finds what belongs together."""
    for made in workshop().values():
        labels = made.doc["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "workshop-llm"
        assert labels["app.kubernetes.io/managed-by"] == "wtsctl"
        assert {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")} <= labels.keys()


def test_labels_are_valid_however_long_the_names_are() -> None:
    """A label's value has at most 63 characters; a claim's name, which may have 253, is in none."""
    text = changed(("models:", f"cache: {{claim: {'w' * 200}, size: 10Gi}}\nmodels:"))
    for made in rendered(text).values():
        assert max(len(value) for value in made.doc["metadata"]["labels"].values()) <= 63


def test_objects_are_plain_json() -> None:
    """Whatever is rendered can be sent to an API server as it is."""
    for made in workshop().values():
        assert json.loads(json.dumps(made.doc)) == made.doc
