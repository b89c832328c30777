"""How much memory a GPU really offers, by the labels that NVIDIA's GPU feature discovery puts on its node."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1024**3
_MIB = 1024**2

# What CUDA reports as the whole memory of a device (cudaMemGetInfo), which is what vLLM takes its share of. It is
# less than the card's name and than `nvidia-smi` say: the driver and, where it is on, ECC keep some for
# themselves. The values are the smallest that PyTorch's out-of-memory messages ("total capacity of 79.19 GiB")
# commonly show for the product, cut to a tenth.
_USABLE_GIB = {
    "NVIDIA-A100-SXM4-80GB": 79.2,
    "NVIDIA-A100-80GB-PCIe": 79.2,
    "NVIDIA-A100-SXM4-40GB": 39.4,
    "NVIDIA-A100-PCIE-40GB": 39.4,
    "NVIDIA-H100-80GB-HBM3": 79.2,
    "NVIDIA-H100-PCIe": 79.2,
    "NVIDIA-H100-NVL": 93.0,
    "NVIDIA-H200": 139.7,
    "NVIDIA-B200": 178.3,
    "NVIDIA-L40S": 44.4,
    "NVIDIA-L40": 44.4,
    "NVIDIA-A40": 44.4,
    "NVIDIA-A10": 22.0,
    "NVIDIA-A10G": 22.0,
    "NVIDIA-L4": 22.0,
    "Tesla-T4": 14.5,
}
# Older drivers leave the maker out of the name.
_BY_NAME = {name.upper().removeprefix("NVIDIA-"): size for name, size in _USABLE_GIB.items()}
# For what is not in the table: the part of the label's MiB that every product above offers at least.
_OF_LABEL = 0.965
_SHARED = "-SHARED"
# Before Ampere: what they cannot compute in came with compute capability 8.0, bfloat16 and vLLM's kernels for FP8
# weights among it (vllm-project/vllm, docs/features/quantization, Supported Hardware).
_BEFORE_AMPERE = frozenset(("T4", "V100", "P100", "P40", "P4"))


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU.

    Attributes:
        product: the value of its node's product label; empty where it has none.
        usable: bytes that one process can have of it; None: not known.
        source: where `usable` comes from, or why it is not known.
    """

    product: str
    usable: int | None
    source: str

    @property
    def before_ampere(self) -> bool:
        """Whether it is known to compute neither bfloat16 nor FP8."""
        return not _BEFORE_AMPERE.isdisjoint(self.product.upper().split("-"))

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.product or "a GPU without a product label"


def gpu(product: str, label_mib: int | None = None) -> Gpu:
    """The GPU of a node's labels.

    Args:
        product: `nvidia.com/gpu.product`, such as `NVIDIA-A100-SXM4-80GB`.
        label_mib: `nvidia.com/gpu.memory`, MiB; None where there is no such label.
    """
    if product.upper().endswith(_SHARED):
        return Gpu(product, None, "it is shared with other pods, which take what they take")
    in_table = _BY_NAME.get(product.upper().removeprefix("NVIDIA-"))
    if in_table is not None:
        return Gpu(product, int(in_table * GIB), "the table of products")
    if label_mib is not None:
        source = f"{_OF_LABEL * 100:g} % of the {label_mib:,} MiB on its node's label"
        return Gpu(product, int(label_mib * _MIB * _OF_LABEL), source)
    if product:
        return Gpu(product, None, "it is not in the table of products, and no node's label says")
    return Gpu(product, None, "no product is declared")


def products() -> tuple[Gpu, ...]:
    """Every product of the table, the one with the least memory first."""
    return tuple(gpu(name) for name in sorted(_USABLE_GIB, key=lambda name: (_USABLE_GIB[name], name)))
