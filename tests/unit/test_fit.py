"""The arithmetic of GPU memory, against figures that were published or measured elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalogs import loaded
from wtsctl.catalog.workload import Workload
from wtsctl.errors import CatalogError
from wtsctl.plan.explain import explain
from wtsctl.plan.fit import Fit, KvPrecision, Precision, Serving, fit, splits, stages
from wtsctl.plan.gpus import GIB, gpu, products
from wtsctl.plan.memory import MemoryFit, assess
from wtsctl.plan.modelconfig import read
from wtsctl.plan.serving import Unknown, served
from wtsctl.plan.shapes import Shape, known
from wtsctl.plan.verdict import Verdict

LLAMA_70B = "meta-llama/Llama-3.1-70B-Instruct"
A100_80, A100_40, L40S, A10G = "NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-SXM4-40GB", "NVIDIA-L40S", "NVIDIA-A10G"
BF16, FP8, KV16 = Precision("bfloat16", 2.0), Precision("fp8", 1.0), KvPrecision("auto", 2.0)


def shape(model: str) -> Shape:
    """The shape of a model that the table has."""
    found = known(model)
    assert found is not None
    return found


def serving(model: str, length: int, tensor: int = 1, weights: Precision = BF16, pipeline: int = 1) -> Serving:
    """A model with a KV cache of 16 bits and the default utilization."""
    return Serving(shape(model), weights, KV16, length, tensor, pipeline)


def on(one: Serving, product: str) -> Fit:
    """How it stands on GPUs of a product of the table."""
    usable = gpu(product).usable
    assert usable is not None
    return fit(one, usable)


@pytest.mark.parametrize(
    ("model", "parameters", "gib"),
    [
        # What the models' cards count, and what KAITO's catalog lists as the size of their files.
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496, 131.42),
        ("meta-llama/Llama-3.3-70B-Instruct", 70_553_706_496, 131.42),
        ("meta-llama/Meta-Llama-3.1-8B", 8_030_261_248, 14.96),
        ("meta-llama/Llama-Guard-3-8B", 8_030_261_248, 14.96),
        ("watt-ai/watt-tool-8B", 8_030_261_248, 14.96),
        ("meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824, 5.98),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400, 2.30),
        ("ibm-granite/granite-3.1-8b-instruct", 8_170_848_256, 15.22),
        ("ibm-granite/granite-3.3-8b-instruct", 8_170_864_640, 15.22),
        ("mistralai/Mistral-7B-Instruct-v0.3", 7_248_023_552, 13.50),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512, 14.19),
        ("Qwen/Qwen3-8B", 8_190_735_360, 15.26),
        ("microsoft/phi-4", 14_659_507_200, 27.31),
    ],
)
def test_weights_of_known_models(model: str, parameters: int, gib: float) -> None:
    """The formula gives the published number of parameters and the size of the files."""
    assert shape(model).parameters == parameters
    assert serving(model, 1).weight_bytes / GIB == pytest.approx(gib, abs=0.005)


@pytest.mark.parametrize(
    ("model", "kib", "gib"),
    [
        (LLAMA_70B, 320, 39.06),
        ("meta-llama/Llama-3.2-3B-Instruct", 112, 13.67),
        ("ibm-granite/granite-3.1-8b-instruct", 160, 19.53),
        ("watt-ai/watt-tool-8B", 128, 15.62),
    ],
)
def test_kv_cache_of_known_models(model: str, kib: int, gib: float) -> None:
    """A token takes two numbers per layer, head and dimension; 128,000 of them what the table in the docs says."""
    one = serving(model, 128_000)
    assert one.kv_token_bytes == kib * 1024
    assert on(one, A100_80).needed / GIB == pytest.approx(gib, abs=0.006)


@pytest.mark.parametrize(
    ("tensor", "product", "weights", "fits", "room", "sequences", "longest"),
    [
        (4, A100_80, BF16, True, 35.38, 3.62, 463_696),
        (4, L40S, BF16, False, 3.36, 0.34, 44_048),
        (4, A100_40, BF16, False, -1.24, 0.0, 0),
        (4, A100_40, FP8, True, 15.83, 1.62, 207_488),
        (8, A100_40, BF16, True, 16.35, 3.35, 428_720),
        (2, A100_80, BF16, False, 0.19, 0.01, 1_248),
    ],
    ids=["4x80", "4x48", "4x40", "4x40-fp8", "8x40", "2x80"],
)
def test_verdicts_on_the_70b(
    *, tensor: int, product: str, weights: Precision, fits: bool, room: float, sequences: float, longest: int
) -> None:
    """Llama-3.1-70B at 128,000 tokens: room a GPU in GiB, full-length sequences and longest context."""
    stood = on(serving(LLAMA_70B, 128_000, tensor, weights), product)
    assert stood.fits is fits
    assert stood.room / GIB == pytest.approx(room, abs=0.005)
    assert stood.sequences == pytest.approx(sequences, abs=0.005)
    assert stood.longest == longest


@pytest.mark.parametrize(
    ("model", "longest"),
    [
        ("meta-llama/Llama-3.2-3B-Instruct", 107_000),
        ("meta-llama/Llama-3.1-8B-Instruct", 15_000),
        ("ibm-granite/granite-3.1-8b-instruct", 10_000),
    ],
)
def test_small_models_on_24_gb(model: str, longest: int) -> None:
    """With their default context of 131,072 tokens they do not start on a GPU of 24 GB; this is what they can have."""
    stood = on(serving(model, 131_072), A10G)
    assert not stood.fits
    assert longest <= stood.longest < longest + 1000
    assert on(serving(model, stood.longest), A10G).fits
    assert not on(serving(model, stood.longest + 16), A10G).fits


def test_fewer_heads_than_gpus() -> None:
    """With more GPUs than key/value heads each holds a copy of one: its cache shrinks no further."""
    model = "Qwen/Qwen2.5-7B-Instruct"
    assert not splits(shape(model), 4)
    assert "28 attention heads cannot be shared out to 8 GPUs" in splits(shape(model), 8)
    eight, sixteen = (on(serving(LLAMA_70B, 1024, size), A100_80) for size in (8, 16))
    assert eight.kv_token == sixteen.kv_token
    assert splits(shape(LLAMA_70B), 3)
    assert "10 key/value heads" in splits(replace(shape("microsoft/phi-4"), heads=48), 4)


def test_pipeline_stages() -> None:
    """Layers are shared out as vLLM does it, and the stage with the least room decides."""
    assert stages(80, 2) == (40, 40)
    assert stages(80, 3) == (27, 27, 26)
    assert stages(30, 4) == (7, 8, 8, 7)
    assert sum(stages(61, 8)) == 61
    whole = on(serving(LLAMA_70B, 128_000, 8), A100_40)
    halves = on(serving(LLAMA_70B, 128_000, 4, pipeline=2), A100_40)
    assert halves.fits
    # Half of the layers each, and one end of the model: the same weights and the same cache as half of their width.
    assert halves.weights == pytest.approx(whole.weights, rel=0.01)
    assert halves.kv_token == whole.kv_token


def test_utilization_and_kv_precision() -> None:
    """The server takes its part of the GPU only, and a cache of 8 bits holds twice the tokens."""
    one = serving(LLAMA_70B, 128_000, 4)
    less = on(replace(one, utilization=0.8), A100_80)
    assert on(one, A100_80).room - less.room == pytest.approx(0.12 * 79.2 * GIB, rel=1e-6)
    half = on(replace(one, kv=KvPrecision("fp8", 1.0)), A100_80)
    assert half.longest == pytest.approx(2 * on(one, A100_80).longest, abs=32)


def test_memory_of_gpus() -> None:
    """By product, whatever the driver's spelling; else by the label, carefully; shared GPUs are not known."""
    assert gpu("NVIDIA-A100-SXM4-80GB").usable == gpu("A100-SXM4-80GB").usable == int(79.2 * GIB)
    assert gpu("NVIDIA-RTX-6000-Ada-Generation").usable is None
    assert gpu("NVIDIA-RTX-6000-Ada-Generation", 49140).usable == int(49140 * 2**20 * 0.965)
    assert gpu("Tesla-T4-SHARED", 15360).usable is None
    assert "no product" in gpu("").source
    # What the label's rule makes of products whose memory is known is never more than they have.
    labels = {A100_80: 81920, A100_40: 40960, L40S: 46068, A10G: 23028, "Tesla-T4": 15360, "NVIDIA-H200": 143771}
    for product, label in labels.items():
        assert (gpu("X", label).usable or 0) <= (gpu(product).usable or 0)
    assert [one.usable for one in products()] == sorted(one.usable or 0 for one in products())


def test_only_whole_ids_are_known() -> None:
    """Another repository's weights of the same model may have other bits, so they are not taken for it."""
    assert known("META-LLAMA/llama-3.1-70b-instruct") == shape(LLAMA_70B)
    for other in ("RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8", "meta-llama/Llama-3.1-70B-Instruct-FP8", "x/phi-4"):
        assert known(other) is None


CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def test_config_json_gives_the_same_shape() -> None:
    """The config.json of a model of the table says what the table says."""
    checkpoint = read(CONFIG, "config.json")
    assert checkpoint.shape == shape(LLAMA_70B)
    assert checkpoint.weights is not None
    assert checkpoint.weights.linear == 2.0


@pytest.mark.parametrize(
    ("quantization", "linear"),
    [
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1.0 + 4 / 128**2),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, 0.5 + 2.5 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 1.0),
        (
            {
                "quant_method": "compressed-tensors",
                "ignore": ["lm_head"],
                "config_groups": {
                    "group_0": {
                        "targets": ["Linear"],
                        "weights": {"num_bits": 4, "type": "int", "group_size": 128, "symmetric": True},
                    }
                },
            },
            0.5 + 2 / 128,
        ),
    ],
    ids=["fp8", "fp8-blocks", "awq", "gptq", "compressed-tensors"],
)
def test_quantized_checkpoints(quantization: dict[str, Any], linear: float) -> None:
    """What quantization_config says becomes bytes per weight; the embedding and the head stay at two."""
    weights = read(CONFIG | {"quantization_config": quantization}, "c").weights
    assert weights is not None
    assert weights.linear == pytest.approx(linear)
    assert weights.other == 2.0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"architectures": ["DeepseekV3ForCausalLM"]}, "DeepseekV3ForCausalLM"),
        ({"kv_lora_rank": 512}, "multi-head latent attention"),
        ({"vision_config": {"depth": 32}}, "vision tower"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "bitsandbytes"),
        ({"quantization_config": {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0"]}}, "some"),
        ({"quantization_config": {"quant_method": "awq"}}, "does not say bits"),
    ],
)
def test_what_cannot_be_computed_is_unknown(changed: dict[str, Any], reason: str) -> None:
    """A model whose memory does not follow from these formulas is unknown and says why: nothing is guessed."""
    checkpoint = read(CONFIG | changed, "c")
    assert checkpoint.shape is None or checkpoint.weights is None
    assert reason in checkpoint.unknown


def test_experts() -> None:
    """All experts of a layer are in memory, however few of them answer: Mixtral-8x7B has 46.7 billion weights."""
    mixtral = CONFIG | {
        "architectures": ["MixtralForCausalLM"],
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "intermediate_size": 14336,
        "vocab_size": 32000,
        "num_local_experts": 8,
    }
    found = read(mixtral, "c").shape
    assert found is not None
    assert found.parameters == 46_702_792_704


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ([1], ["expected a JSON object"]),
        ({}, ["architectures: expected a list with one name, got nothing"]),
        (
            CONFIG | {"hidden_size": "8192", "num_hidden_layers": 0},
            ["hidden_size: expected an integer above zero, got '8192'", "num_hidden_layers: expected an integer"],
        ),
        (CONFIG | {"tie_word_embeddings": 1}, ["tie_word_embeddings: expected true or false, got 1"]),
        (CONFIG | {"quantization_config": "fp8"}, ["quantization_config: expected an object"]),
        (CONFIG | {"num_attention_heads": 60}, ["num_attention_heads: does not divide hidden_size"]),
    ],
)
def test_bad_config_json(config: object, texts: list[str]) -> None:
    """Each wrong key is named, with the file and what stands there."""
    with pytest.raises(CatalogError) as caught:
        read(config, "models/config.json")
    for text in texts:
        assert f"models/config.json: {text}" in str(caught.value)


@settings(max_examples=200)
@given(st.data())
def test_any_config_json_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever a key holds, the file is read or refused with its name, never with another exception."""
    anything: st.SearchStrategy[Any] = (
        st.none() | st.booleans() | st.integers(-3, 10**10) | st.text(max_size=3) | st.lists(st.integers())
    )
    anything |= st.dictionaries(st.sampled_from(["bits", "group_size", "quant_method", "config_groups"]), st.integers())
    config = CONFIG | {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    keys = [*config, "head_dim", "sliding_window", "decoder_sparse_step", "mlp_only_layers", "kv_lora_rank"]
    config |= {key: data.draw(anything) for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3))}
    try:
        checkpoint = read(config, "c")
    except CatalogError:
        return
    assert (checkpoint.shape is None or checkpoint.weights is None) == bool(checkpoint.unknown)
    assess(served(workload(), checkpoint), gpu(A100_80), pipelines=True)


def workload(**fields: Any) -> Workload:
    """One model: the 70B on vLLM over four GPUs, unless `fields` say otherwise."""
    entry = {
        "name": "m",
        "runtime": "vllm",
        "model": LLAMA_70B,
        "role": "chat",
        "maxModelLen": 128000,
        "parallel": {"tensor": 4},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    } | fields
    document = {
        "apiVersion": "wtsctl/v1",
        "name": "x",
        "defaults": {"namespace": "llm", "images": {"vllm": "vllm/vllm-openai:v0.33.0"}},
        "models": [entry],
    }
    return loaded(json.dumps(document)).workloads[0]


def stood(product: str, node_gpus: int | None = None, config: object = None, **fields: Any) -> MemoryFit:
    """How a model of models.yaml stands on a product."""
    checkpoint = None if config is None else read(config, "config.json")
    return assess(served(workload(**fields), checkpoint), gpu(product), pipelines=True, node_gpus=node_gpus)


def test_keys_of_models_yaml_count() -> None:
    """Precision, length, parallel sizes and utilization come from the model's own keys, `args` last."""
    one = served(workload(quantization="fp8", kvCacheDtype="fp8", gpuMemoryUtilization=0.8), None).serving
    assert isinstance(one, Serving)
    assert (one.weights.linear, one.weights.other, one.kv.element) == (1.0, 2.0, 1.0)
    assert (one.tensor, one.pipeline, one.utilization, one.max_model_len) == (4, 1, 0.8, 128_000)
    args = ["--max-model-len=32k", "--gpu_memory_utilization", "0.5", "-tp", "8", "--dtype=float32"]
    two = served(workload(args=args), None).serving
    assert isinstance(two, Serving)
    assert (two.tensor, two.utilization, two.max_model_len, two.weights.linear, two.kv.element) == (
        8,
        0.5,
        32_000,
        4.0,
        4.0,
    )


def test_arguments_that_cannot_be_counted() -> None:
    """An argument that wtsctl cannot read makes the model unknown; one that it does not count is named."""
    unreadable = served(workload(args=["--max-model-len", "auto"]), None).serving
    assert isinstance(unreadable, Unknown)
    assert "'auto'" in unreadable.reason
    counted = served(workload(args=["--speculative-config", "{}"]), None)
    assert counted.notes == ("the argument --speculative-config is not counted",)


@pytest.mark.parametrize(
    ("product", "fields", "keys"),
    [
        (L40S, {}, ["maxModelLen", "quantization", "parallel.tensor", "gpu.product"]),
        (A100_40, {}, ["quantization", "parallel.tensor", "gpu.product"]),
        (A100_80, {"parallel": {"tensor": 2}}, ["maxModelLen", "quantization", "parallel.tensor", "gpu.product"]),
        (A100_80, {"parallel": {"tensor": 3}, "gpus": 3}, ["parallel.tensor"]),
        (A10G, {"maxModelLen": 8192}, ["parallel.tensor", "gpu.product"]),
    ],
    ids=["4x48", "4x40", "2x80", "3x80", "4x24"],
)
def test_every_remedy_works(product: str, fields: dict[str, Any], keys: list[str]) -> None:
    """Each change that is offered makes the model fit, and the value next to it does not."""
    before = stood(product, **fields)
    assert before.verdict is Verdict.DOES_NOT_FIT
    assert before.reason
    assert [one.key for one in before.remedies] == keys
    for remedy in before.remedies:
        head, _, rest = remedy.key.partition(".")
        changed = fields | ({head: fields.get(head, {}) | {rest: remedy.value}} if rest else {head: remedy.value})
        changed.pop("gpus", None)
        on_product = str(changed.pop("gpu")["product"]) if remedy.key == "gpu.product" else product
        assert stood(on_product, **changed).verdict is Verdict.FITS, remedy
    if "maxModelLen" in keys:
        longest = int(before.remedies[0].value)
        assert stood(product, **fields | {"maxModelLen": longest + 16}).verdict is Verdict.DOES_NOT_FIT


def test_more_nodes_where_one_has_too_few_gpus() -> None:
    """Where no node has the GPUs for a larger tensor parallel size, pipeline stages over nodes are offered."""
    remedies = stood(A100_40, node_gpus=4).remedies
    assert [one.key for one in remedies] == ["quantization", "parallel.pipeline", "gpu.product"]
    assert stood(A100_40, parallel={"tensor": 4, "pipeline": remedies[1].value}).verdict is Verdict.FITS


def test_what_no_node_has_is_not_offered() -> None:
    """Where no nodes are known, a tensor parallel size is offered up to the 8 GPUs that nodes commonly have."""
    remedies = stood(A10G, model=LLAMA_70B, maxModelLen=8192, parallel={"tensor": 1}, gpus=1).remedies
    assert [(one.key, one.value) for one in remedies][:1] == [("parallel.tensor", 8)]
    remedies = stood("Tesla-T4", model=LLAMA_70B, maxModelLen=8192, parallel={"tensor": 8}, gpus=8).remedies
    assert [one.key for one in remedies][:1] == ["parallel.pipeline"]


def test_no_fp8_before_ampere() -> None:
    """Eight bits are offered to the cards whose kernels vLLM has, and to no others."""
    small: dict[str, Any] = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "maxModelLen": 8192,
        "parallel": {"tensor": 1},
    }
    assert [one.key for one in stood("Tesla-T4", **small).remedies] == ["parallel.tensor", "gpu.product"]
    assert "quantization" in [
        one.key for one in stood(A100_40, **small | {"model": LLAMA_70B, "gpus": 4, "parallel": {"tensor": 4}}).remedies
    ]


def test_more_stages_than_layers() -> None:
    """A stage without a layer serves nothing: that is no fit, however little is left for each GPU."""
    small: dict[str, Any] = {"model": "meta-llama/Llama-3.2-1B-Instruct", "maxModelLen": 8192}
    assert stood(A100_80, **small, parallel={"tensor": 1, "pipeline": 16}).verdict is Verdict.FITS
    more = stood(A100_80, **small, parallel={"tensor": 1, "pipeline": 17})
    assert more.verdict is Verdict.DOES_NOT_FIT
    assert more.reason == "16 layers cannot be shared out to 17 pipeline stages"


@pytest.mark.parametrize(
    ("rope", "length"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}, 131072),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 40960}}, 81920),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, 4 * 32768),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.5}}, 81920),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}}, 32768),
        ({"rope_scaling": {"type": "longrope", "factor": 32.0}}, 32768),
        ({"rope_scaling": {"type": "su", "factor": 32.0}}, 32768),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, 32768),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}}}, 8 * 32768),
        ({"rope_scaling": None}, 32768),
    ],
)
def test_longest_context_is_as_vllm_derives_it(rope: dict[str, Any], length: int) -> None:
    """RoPE scaling multiplies what the model was made for, but where the length in config.json is scaled already."""
    found = read(CONFIG | {"max_position_embeddings": 32768} | rope, "c").shape
    assert found is not None
    assert found.max_position == length


@pytest.mark.parametrize("rope", [{"rope_scaling": [1]}, {"rope_scaling": {"type": "yarn", "factor": "4"}}])
def test_rope_scaling_that_cannot_be_read(rope: dict[str, Any]) -> None:
    """A length that cannot be computed is refused under its key."""
    with pytest.raises(CatalogError, match="rope_scaling: expected"):
        read(CONFIG | rope, "c")


def test_files_are_read_as_they_are() -> None:
    """Weights that are quantized while loading are read whole; those that lie in 8 bits already are not twice that."""
    online = served(workload(quantization="fp8"), None).serving
    assert isinstance(online, Serving)
    assert (round(online.weight_bytes / GIB), round(online.file_bytes / GIB)) == (68, 131)
    ready = read(CONFIG | {"quantization_config": {"quant_method": "fp8"}}, "c")
    stored = served(workload(quantization="fp8"), ready).serving
    assert isinstance(stored, Serving)
    assert stored.file_bytes == stored.weight_bytes == online.weight_bytes


def test_unknown_models_and_gpus() -> None:
    """Without a shape or a GPU the verdict is unknown, and says what would help; the weights still show."""
    other = stood(A100_80, model="acme/new-model")
    assert (other.verdict, other.fit) == (Verdict.UNKNOWN, None)
    assert "not in the table" in other.reason
    assert "config.json" in other.hint
    nowhere = assess(served(workload(), None), None, pipelines=True)
    assert nowhere.verdict is Verdict.UNKNOWN
    assert nowhere.required is not None
    # What is said to be enough is enough, and a hundredth less is not.
    enough = serving(LLAMA_70B, 128_000, 4)
    assert fit(enough, nowhere.required + 1024).fits
    assert not fit(enough, int(nowhere.required * 0.99)).fits
    by_config = stood(A100_80, model="acme/new-model", config=CONFIG)
    assert by_config.verdict is Verdict.FITS


def test_sliding_windows_are_an_upper_bound() -> None:
    """A model that looks back less far needs less than is computed: it may fit, but is never said not to."""
    config = CONFIG | {"sliding_window": 4096}
    assert stood(A100_80, config=config).verdict is Verdict.FITS
    assert stood(L40S, config=config).verdict is Verdict.UNKNOWN
    # Not even the weights fit: no window helps.
    assert stood(A100_40, config=config).verdict is Verdict.DOES_NOT_FIT
    unused = CONFIG | {"sliding_window": 4096, "use_sliding_window": False}
    assert stood(L40S, config=unused).verdict is Verdict.DOES_NOT_FIT


def test_cache_that_the_checkpoint_asks_for() -> None:
    """A checkpoint with scales for an 8-bit cache gets one from vLLM, unless models.yaml says otherwise."""
    config = CONFIG | {
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "kv_cache_scheme": {"num_bits": 8, "type": "float"},
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}}},
            "ignore": ["lm_head"],
        }
    }
    checkpoint = read(config, "c")
    own, said = (served(workload(**fields), checkpoint).serving for fields in ({}, {"kvCacheDtype": "bfloat16"}))
    assert isinstance(own, Serving)
    assert isinstance(said, Serving)
    assert (own.kv.element, said.kv.element) == (1.0, 2.0)


def test_the_arithmetic_is_shown() -> None:
    """`plan -v` writes every number of the verdict, in the order in which it is computed."""
    text = "\n".join(explain(stood(A100_80)))
    for part in (
        "70,553,706,496",
        "131.42 GiB",
        "320 KiB",
        "33.51 GiB",
        "3.98 GiB",
        "35.38 GiB",
        "9.77 GiB",
        "3.6 full",
    ):
        assert part in text
    assert "not even the weights fit" in "\n".join(explain(stood(A100_40)))
