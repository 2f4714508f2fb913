"""Shows a progress line instead of the text, at most twice a second, and the answer at the end."""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent
from headrace.errors import StreamTimeout
from headrace.views.operators import with_metrics, with_progress, with_timeout


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "How does Headrace cancel a run?"
    agent = Agent(name="guide")
    source = with_metrics(with_timeout(agent.run_stream(question), 30))
    text: list[str] = []
    try:
        async for chunk in with_progress(source, sys.stderr.write):
            text.append(chunk.content)
    except StreamTimeout as error:
        print(error, file=sys.stderr)
    print("".join(text))
    print(f"[first text after {source.metrics.time_to_first_token_ms} ms]")


if __name__ == "__main__":
    asyncio.run(main())
