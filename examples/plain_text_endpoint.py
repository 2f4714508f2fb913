"""An answer as plain text while it comes: by a route of one's own, and by Headrace's route.

    python examples/plain_text_endpoint.py

    curl -N http://127.0.0.1:8000/chat/stream --json '{"message": "What is 6 times 7?"}'
    curl -N http://127.0.0.1:8000/ai/chat/stream --json '{"message": "What is 6 times 7?"}'

Both answer the same; below is why only the second survives that its reader reloads the page.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from headrace import Agent
from headrace.server import app

agent = Agent(name="guide", instructions="Be brief.")
headrace_app = app([agent])
api = FastAPI(lifespan=headrace_app.lifespan)


class Question(BaseModel):
    """The body of a request."""

    message: str


@api.post("/chat/stream")
async def chat(question: Question) -> StreamingResponse:
    """The run lives inside this answer: whoever reloads the page cancels it, and asks anew.

    An error of the run breaks the connection off, so that a cut answer does not look whole.
    """

    async def text() -> AsyncGenerator[str]:
        async for chunk in agent.run_stream(question.message):
            yield chunk.content

    return StreamingResponse(text(), media_type="text/plain; charset=utf-8")


# The same request to /ai/chat/stream starts a run of its own, which writes a log; the answer only
# reads it. Whoever leaves can come back: the answer's header `x-headrace-run` names the run, and
# GET /ai/v1/runs/{id}/events?format=plain is its text from the beginning, live or over.
api.mount("/ai", headrace_app)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    uvicorn.run(api, host="127.0.0.1", port=port, timeout_graceful_shutdown=5)
