"""A FastAPI application with a route of its own, and Headrace with all of its routes below ``/ai``.

    python examples/fastapi_app.py

    curl http://127.0.0.1:8000/hello
    curl -N http://127.0.0.1:8000/ai/chat/stream --json '{"message": "What is 6 times 7?"}'

http://127.0.0.1:8000/ai/ is the page; the docs of the application's own routes are at ``/docs``.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from headrace import Agent
from headrace.server import app

# In memory, runs end with the process; with store="sqlite:///runs.db" they are taken up again.
headrace_app = app([Agent(name="guide", instructions="Be brief.")])

# A mounted application is not told when its host begins and ends. By this lifespan Headrace opens
# its store at the start, and at the end lets live runs come to theirs.
api = FastAPI(title="My application", lifespan=headrace_app.lifespan)


@api.get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "from the application's own route"}


api.mount("/ai", headrace_app)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    # uvicorn first waits for open answers, for ever where it is not told how long. Readers whose
    # stream is broken off come again, and get the rest.
    uvicorn.run(api, host="127.0.0.1", port=port, timeout_graceful_shutdown=5)
