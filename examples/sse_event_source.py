"""A page that reads an answer with the browser's own `EventSource`: text, tool calls, the end.

    python examples/sse_event_source.py        # then open http://127.0.0.1:8000/

The page is ``sse_event_source/``: one HTML file and one script, no library. When the connection is
lost in mid-answer, the browser connects again and gets the rest of the same run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from headrace import Agent, tool
from headrace.errors import ToolError
from headrace.server import app

PAGE = Path(__file__).with_suffix("")
PRICES = {"pump": 240.0, "wheel": 1900.0}


@tool(read_only=True)
def price(article: str) -> float:
    """Tell the price of an article in euros."""
    if article not in PRICES:
        raise ToolError(f"There is no {article}. There are: {', '.join(PRICES)}.")
    return PRICES[article]


headrace_app = app([Agent(name="shop", tools=[price])])
site = Starlette(
    routes=[
        Mount("/ai", app=headrace_app),
        Mount("/", app=StaticFiles(directory=PAGE, html=True)),
    ],
    lifespan=headrace_app.lifespan,
)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    uvicorn.run(site, host="127.0.0.1", port=port, timeout_graceful_shutdown=5)
