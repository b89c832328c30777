"""The shape of a model: the numbers that decide how much memory its weights and its KV cache take."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of equal layers, as its config.json describes it.

    Attributes:
        layers: hidden layers.
        hidden: width of the residual stream.
        heads: attention (query) heads.
        kv_heads: key and value heads.
        head_dim: width of one head.
        intermediate: width of the feed-forward layer, of one expert where there are experts.
        vocabulary: rows of the embedding.
        tied: whether the output head is the embedding itself.
        max_position: longest context the model was made for, in tokens, its RoPE scaling included.
        experts: feed-forward experts of each layer; 0: a dense model.
        qkv_bias: whether query, key and value projections have a bias.
        qk_norm: whether queries and keys are normalised per head.
        window: tokens that attention looks back on, in all or some layers; None: all of them.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool
    max_position: int
    experts: int = 0
    qkv_bias: bool = False
    qk_norm: bool = False
    window: int | None = None

    @property
    def query_output(self) -> int:
        """Weights of one layer's query and output projections."""
        return 2 * self.hidden * self.heads * self.head_dim

    @property
    def key_value(self) -> int:
        """Weights of one layer's key and value projections."""
        return 2 * self.hidden * self.kv_heads * self.head_dim

    @property
    def feed_forward(self) -> int:
        """Weights of one layer's gate, up and down projections, of all experts."""
        return 3 * self.hidden * self.intermediate * max(1, self.experts)

    @property
    def layer_linear(self) -> int:
        """Weights of one layer that quantization makes smaller."""
        return self.query_output + self.key_value + self.feed_forward

    @property
    def layer_other(self) -> int:
        """Weights of one layer that it leaves as they are: norms, biases, and the router of the experts."""
        biases = (self.heads + 2 * self.kv_heads) * self.head_dim if self.qkv_bias else 0
        norms = 2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)
        return norms + biases + self.hidden * self.experts

    @property
    def embedding(self) -> int:
        """Weights of the embedding; the output head has as many."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All weights, as the model's card counts them."""
        ends = self.hidden + self.embedding * (1 if self.tied else 2)
        return self.layers * (self.layer_linear + self.layer_other) + ends


_LLAMA_70B = Shape(80, 8192, 64, 8, 128, 28672, 128256, tied=False, max_position=131072)
_LLAMA_8B = Shape(32, 4096, 32, 8, 128, 14336, 128256, tied=False, max_position=131072)
_LLAMA_3B = Shape(28, 3072, 24, 8, 128, 8192, 128256, tied=True, max_position=131072)
_LLAMA_1B = Shape(16, 2048, 32, 8, 64, 8192, 128256, tied=True, max_position=131072)
_GRANITE_8B = Shape(40, 4096, 32, 8, 128, 12800, 49155, tied=True, max_position=131072)
_GRANITE_33_8B = Shape(40, 4096, 32, 8, 128, 12800, 49159, tied=True, max_position=131072)
_MISTRAL_7B = Shape(32, 4096, 32, 8, 128, 14336, 32768, tied=False, max_position=32768)
_QWEN25_7B = Shape(28, 3584, 28, 4, 128, 18944, 152064, tied=False, max_position=32768, qkv_bias=True)
_QWEN3_8B = Shape(36, 4096, 32, 8, 128, 12288, 151936, tied=False, max_position=40960, qk_norm=True)
_PHI_4 = Shape(40, 5120, 40, 10, 128, 17920, 100352, tied=False, max_position=16384)

# Whole Hugging Face ids. A repository with other weights of the same model (FP8, AWQ, GGUF) is not matched: how
# many bits its weights have stands in its own config.json only.
_TABLE: tuple[tuple[str, Shape], ...] = (
    (r"meta-llama/(Meta-)?Llama-3\.1-70B(-Instruct)?", _LLAMA_70B),
    (r"meta-llama/Llama-3\.3-70B-Instruct", _LLAMA_70B),
    (r"meta-llama/(Meta-)?Llama-3\.1-8B(-Instruct)?", _LLAMA_8B),
    (r"meta-llama/Llama-Guard-3-8B", _LLAMA_8B),
    (r"watt-ai/watt-tool-8B", _LLAMA_8B),
    (r"meta-llama/Llama-3\.2-3B(-Instruct)?", _LLAMA_3B),
    (r"meta-llama/Llama-3\.2-1B(-Instruct)?", _LLAMA_1B),
    (r"ibm-granite/granite-3\.[12]-8b-(base|instruct)", _GRANITE_8B),
    (r"ibm-granite/granite-3\.3-8b-(base|instruct)", _GRANITE_33_8B),
    (r"mistralai/Mistral-7B(-Instruct)?-v0\.3", _MISTRAL_7B),
    (r"Qwen/Qwen2\.5(-Coder)?-7B(-Instruct)?", _QWEN25_7B),
    (r"Qwen/Qwen3-8B", _QWEN3_8B),
    (r"microsoft/phi-4", _PHI_4),
)


def known(model: str) -> Shape | None:
    """The shape of a model by its Hugging Face id, or None where this table does not have it; case does not count."""
    return next((shape for pattern, shape in _TABLE if re.fullmatch(pattern, model, re.IGNORECASE)), None)
