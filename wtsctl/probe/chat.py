"""Chat prompts to an OpenAI-compatible endpoint: POST /chat/completions, always streamed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wtsctl.latency.failure import FailureKind
from wtsctl.latency.sample import Sample, read_chat

if TYPE_CHECKING:
    from wtsctl.catalog.smoke import Prompt
    from wtsctl.probe.session import Session

SEED = 0
TEMPERATURE = 0
# A token's event is 150 to 400 bytes; ten times that bounds an answer without cutting one.
_BYTES_PER_TOKEN = 4096
_LEAST_BYTES = 1 << 20
# How Go's transport ends its message for a connection that was closed under it.
_CLOSED = ("EOF", "connection reset by peer", "server closed idle connection")
# Such a request ends within a round trip. One that ends later may have been read, and its failure is the server's.
_AT_ONCE_SECONDS = 1.0


def ask(session: Session, model: str, prompt: Prompt) -> Sample:
    """Send one prompt over `session` and read the answer to its end; a failure is in the sample.

    A request that met a connection which was just being closed is sent again, once: the next one would have found
    the connection gone. The sample says so, and its times are the second request's.
    """
    limit = _LEAST_BYTES + _BYTES_PER_TOKEN * prompt.max_tokens
    request = chat_request(model, prompt)
    began = time.monotonic()
    sample = read_chat(session.post("/chat/completions", request, limit=limit))
    if _met_a_closing_connection(sample) and time.monotonic() - began < _AT_ONCE_SECONDS:
        sample = replace(read_chat(session.post("/chat/completions", request, limit=limit)), resent=True)
    return replace(sample, failure=session.redacted(sample.failure)) if sample.failure else sample


def _met_a_closing_connection(sample: Sample) -> bool:
    failure = sample.failure
    if failure is None:
        return False
    if failure.kind is FailureKind.DISCONNECTED:
        # Nothing of an answer had come. On a connection of its own such a request has failed.
        return sample.opening is None and sample.ack is None
    # The API server keeps connections to pods, may find one closed under it, and repeats no POST by itself.
    return failure.kind is FailureKind.GATEWAY and failure.message.endswith(_CLOSED)


def chat_request(model: str, prompt: Prompt) -> dict[str, Any]:
    """The request document: as repeatable as a server allows, streamed, with the server's token counts."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    return {
        "model": model,
        "messages": [*system, {"role": "user", "content": prompt.prompt}],
        "max_tokens": prompt.max_tokens,
        "temperature": TEMPERATURE,
        "seed": SEED,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
