"""A model's config.json, as Hugging Face repositories have it → its shape and the bytes of its weights.

What is read and what not: docs/explanation/fit.md. A model whose memory cannot be computed rightly is unknown,
with the reason; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.errors import CatalogError, Problem
from wtsctl.plan.fit import Precision
from wtsctl.plan.shapes import Shape

_CODE = "catalog.config"
_HALF = 2.0

# Decoders of equal layers: attention, then a gated feed-forward layer, dense or of experts.
_DENSE = frozenset(
    {
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "GraniteForCausalLM",
        "Phi3ForCausalLM",
    }
)
_EXPERTS = {
    "MixtralForCausalLM": ("num_local_experts", "intermediate_size"),
    "GraniteMoeForCausalLM": ("num_local_experts", "intermediate_size"),
    "Qwen3MoeForCausalLM": ("num_experts", "moe_intermediate_size"),
}
# What makes a layer differ from the others, or its attention from plain attention.
_UNLIKE = {
    "kv_lora_rank": "its attention is multi-head latent attention (MLA)",
    "vision_config": "it has a vision tower beside the language model",
    "text_config": "it has several parts, each with a configuration of its own",
    "hybrid_override_pattern": "not all of its layers are attention layers",
    "layers_block_type": "not all of its layers are attention layers",
    "attn_type_list": "not all of its layers are attention layers",
    "block_configs": "its layers differ from each other",
    "shared_expert_intermediate_size": "it has shared experts",
    "n_shared_experts": "it has shared experts",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a model's weights.

    Attributes:
        shape: None where the model is not one whose memory can be computed.
        weights: bytes per weight as the files have them; None where that cannot be told.
        kv_float8: the checkpoint brings scales for a KV cache of 8 bits, which vLLM then uses by default.
        unknown: why `shape` or `weights` is None, a sentence without its subject.
        source: where this comes from, for messages.
        quantized: the method with which the weights in the files are quantized; empty: with none.
    """

    shape: Shape | None
    weights: Precision | None
    source: str
    kv_float8: bool = False
    unknown: str = ""
    quantized: str = ""


def read(config: object, source: str) -> Checkpoint:
    """The checkpoint that a config.json describes.

    Args:
        config: the parsed document.
        source: the file, for messages.

    Raises:
        CatalogError: it is no config.json, or a key has a value that none can have; every one of them is named.
    """
    reader = _Reader(config, source)
    architecture = reader.architecture()
    reader.stop()
    reason = _unlike(reader.config, architecture)
    shape = None if reason else _shape(reader, architecture)
    reader.stop()
    if shape is None:
        return Checkpoint(None, None, source, unknown=reason)
    if reader.config.get("head_dim") is None and shape.hidden % shape.heads:
        reader.refuse("num_attention_heads", f"does not divide hidden_size ({shape.hidden})")
        reader.stop()
    quantization = reader.quantization()
    reader.stop()
    if quantization is None:
        return Checkpoint(shape, Precision(reader.dtype(), _HALF, _HALF), source)
    weights, reason = _quantized(quantization)
    method = _method(quantization)
    scheme = quantization.get("kv_cache_scheme")
    kv_float8 = isinstance(scheme, Mapping) and scheme.get("num_bits") == 8  # noqa: PLR2004
    return Checkpoint(shape, weights, source, kv_float8=kv_float8, unknown=reason, quantized=method)


def _unlike(config: Mapping[str, Any], architecture: str) -> str:
    if architecture not in _DENSE and architecture not in _EXPERTS:
        return f"its architecture is {architecture}, whose memory wtsctl cannot compute"
    for key, reason in _UNLIKE.items():
        if config.get(key):
            return f"{reason} ({key})"
    if config.get("mlp_only_layers"):
        return "some of its layers have experts and some have not (mlp_only_layers)"
    if config.get("decoder_sparse_step") not in (None, 1):
        return "some of its layers have experts and some have not (decoder_sparse_step)"
    return ""


def _shape(reader: _Reader, architecture: str) -> Shape:
    expert_count, expert_width = _EXPERTS.get(architecture, ("", "intermediate_size"))
    heads, hidden = reader.count("num_attention_heads"), reader.count("hidden_size")
    qwen2, qwen3 = architecture == "Qwen2ForCausalLM", architecture.startswith("Qwen3")
    return Shape(
        layers=reader.count("num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=reader.count("num_key_value_heads", heads),
        head_dim=reader.count("head_dim", max(1, hidden // heads)),
        intermediate=reader.count(expert_width),
        vocabulary=reader.count("vocab_size"),
        # Left out, it is the default of all these families in transformers: not tied.
        tied=reader.flag("tie_word_embeddings"),
        max_position=reader.positions(),
        experts=reader.count(expert_count) if expert_count else 0,
        qkv_bias=qwen2 or reader.flag("attention_bias"),
        qk_norm=qwen3,
        window=reader.window(),
    )


class _Reader:
    """Reads keys of a config.json and collects what is wrong with them."""

    def __init__(self, config: object, source: str) -> None:
        self._source = source
        self._problems: list[Problem] = []
        self.config: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        if not isinstance(config, Mapping):
            self._problems.append(Problem(_CODE, "expected a JSON object", source, _WHICH))

    def refuse(self, key: str, text: str) -> None:
        self._problems.append(Problem(_CODE, f"{key}: {text}", self._source, _WHICH))

    def stop(self) -> None:
        """End here if something was wrong."""
        if self._problems:
            raise CatalogError.of(self._problems)

    def architecture(self) -> str:
        value = self.config.get("architectures")
        if isinstance(value, Sequence) and len(value) == 1 and isinstance(value[0], str):
            return value[0]
        if not self._problems:
            self.refuse("architectures", f"expected a list with one name, got {_shown(value)}")
        return ""

    def count(self, key: str, default: int | None = None) -> int:
        value = self.config.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST:
            return value
        self.refuse(key, f"expected an integer above zero, got {_shown(value)}")
        return 1

    def flag(self, key: str) -> bool:
        value = self.config.get(key)
        if value is not None and not isinstance(value, bool):
            self.refuse(key, f"expected true or false, got {_shown(value)}")
        return value is True

    def window(self) -> int | None:
        """Tokens of the sliding window, where one is used in any layer."""
        value = self.config.get("sliding_window")
        if value is None or self.config.get("use_sliding_window") is False:
            return None
        return self.count("sliding_window")

    def positions(self) -> int:
        """Tokens of the longest context, as vLLM derives it (vllm/config/model.py, _get_and_verify_max_len)."""
        length, factor = self.count("max_position_embeddings"), 1.0
        # transformers 5 calls it rope_parameters, and may have one for each type of layer.
        key = "rope_parameters" if self.config.get("rope_parameters") else "rope_scaling"
        value = self.config.get(key) or {}
        if not isinstance(value, Mapping):
            self.refuse(key, f"expected an object, got {_shown(value)}")
            return length
        kinds = [one for one in value.values() if isinstance(one, Mapping)] or [value]
        for one in kinds:
            kind = one.get("rope_type") or one.get("type") or "default"
            if kind in _LENGTH_IS_SCALED:
                continue
            factor = one.get("factor", factor)
            if kind == "yarn":
                length = one.get("original_max_position_embeddings", length)
        if not (_is_number(factor) and _is_number(length)):
            self.refuse(key, f"expected numbers above zero, got {_shown([factor, length])}")
            return 1
        return int(length * factor)

    def dtype(self) -> str:
        value = self.config.get("dtype") or self.config.get("torch_dtype")
        return value if isinstance(value, str) else "16 bits"

    def quantization(self) -> Mapping[str, Any] | None:
        value = self.config.get("quantization_config") or self.config.get("compression_config")
        if value is not None and not isinstance(value, Mapping):
            self.refuse("quantization_config", f"expected an object, got {_shown(value)}")
            return None
        return value


# The output head, and the routers of experts, as names or as patterns of names.
_UNQUANTIZED = re.compile(r"(?:^|[^A-Za-z_])(?:lm_head|gate|router)\$?$")
_LARGEST = 10**9
# Types of RoPE scaling whose max_position_embeddings is the scaled length already.
_LENGTH_IS_SCALED = ("su", "longrope", "llama3")
_WHICH = "is this the config.json of the model's repository?"
_SHOWN = 40


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _LARGEST


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _method(quantization: Mapping[str, Any]) -> str:
    return str(quantization.get("quant_method", "")).lower().replace("_", "-")


def _quantized(quantization: Mapping[str, Any]) -> tuple[Precision | None, str]:
    """Bytes per weight of a quantized checkpoint, or why they are not known."""
    method = _method(quantization)
    if method == "fp8":
        skipped = quantization.get("modules_to_not_convert") or quantization.get("ignored_layers") or ()
        block = quantization.get("weight_block_size")
        scale = 4.0 / (block[0] * block[1]) if isinstance(block, list) and _is_block(block) else 0.0
        return _unless(skipped, Precision("fp8", 1.0 + scale))
    if method in {"awq", "gptq"}:
        bits, group = quantization.get("bits"), quantization.get("group_size")
        if not isinstance(bits, int) or not _is_bits(bits) or not isinstance(group, int) or not group:
            return None, f"its {method} configuration does not say bits and group_size"
        if quantization.get("lm_head") is True:
            return None, f"its {method} configuration quantizes the output head too"
        skipped = quantization.get("modules_to_not_convert") or ()
        return _unless(skipped, Precision(f"{method}, {bits} bits", _grouped(bits, group, zero_points=True)))
    if method == "compressed-tensors":
        return _compressed(quantization)
    return None, f"its weights are quantized with {method or 'a method that it does not name'}"


def _compressed(quantization: Mapping[str, Any]) -> tuple[Precision | None, str]:
    groups = quantization.get("config_groups")
    if not isinstance(groups, Mapping) or len(groups) != 1:
        return None, "its compressed-tensors configuration does not have one group"
    group = next(iter(groups.values()))
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping) or group.get("targets") != ["Linear"] or not _is_bits(weights.get("num_bits")):
        return None, "its compressed-tensors configuration does not quantize all linear layers alike"
    bits, size = int(weights["num_bits"]), weights.get("group_size")
    if isinstance(size, int) and size > 0:
        linear = _grouped(bits, size, zero_points=weights.get("symmetric") is False)
    else:
        # One scale for a tensor or a channel: less than a thousandth of the weights.
        linear = bits / 8
    kind = "float" if weights.get("type") == "float" else "int"
    return _unless(quantization.get("ignore") or (), Precision(f"{kind} {bits} bits", linear))


def _grouped(bits: int, size: int, *, zero_points: bool) -> float:
    """Bytes per weight with a scale of 16 bits, and a zero point where asked, for each group of `size`; -1: none."""
    extra = (2 + (bits / 8 if zero_points else 0)) / size if size > 0 else 0.0
    return bits / 8 + extra


def _unless(skipped: object, precision: Precision) -> tuple[Precision | None, str]:
    """`precision`, unless more than the output head and the router were left unquantized."""
    names = [skipped] if isinstance(skipped, str) else list(skipped) if isinstance(skipped, Sequence) else []
    if all(isinstance(name, str) and _UNQUANTIZED.search(name) for name in names):
        return precision, ""
    return None, "some of its layers are quantized and some are not"


def _is_bits(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in {2, 3, 4, 8, 16}


def _is_block(value: Sequence[object]) -> bool:
    return len(value) == 2 and all(isinstance(v, int) and v > 0 for v in value)  # noqa: PLR2004
