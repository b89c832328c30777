"""Chat prompts to an OpenAI-compatible endpoint: POST /chat/completions, always streamed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wtsctl.latency.sample import Sample, read_chat

if TYPE_CHECKING:
    from wtsctl.catalog.model import Prompt
    from wtsctl.probe.session import Session

SEED = 0
TEMPERATURE = 0
# A token's event is 150 to 400 bytes; ten times that bounds an answer without cutting one.
_BYTES_PER_TOKEN = 4096
_LEAST_BYTES = 1 << 20


def ask(session: Session, model: str, prompt: Prompt) -> Sample:
    """Send one prompt over `session` and read the answer to its end; a failure is in the sample."""
    limit = _LEAST_BYTES + _BYTES_PER_TOKEN * prompt.max_tokens
    sample = read_chat(session.post("/chat/completions", chat_request(model, prompt), limit=limit))
    return replace(sample, failure=session.redacted(sample.failure)) if sample.failure else sample


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
