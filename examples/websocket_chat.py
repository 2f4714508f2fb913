"""Two questions over one WebSocket: both answers come at once, told apart by the question's `ref`.

    headrace serve                          # in one terminal
    python examples/websocket_chat.py       # in another; or give another server's address:
    python examples/websocket_chat.py ws://127.0.0.1:8000/ai/v1/ws "What is 6 times 7?"

Prints the text as it comes, and a line at the end of each answer. Nothing of Headrace is needed.
"""

from __future__ import annotations

import json
import sys
from asyncio import run
from typing import Any

from websockets.asyncio.client import connect

SERVER = "ws://127.0.0.1:8080/v1/ws"
QUESTIONS = ["What is 123 * 456?", "How does Headrace cancel a run?"]


class Screen:
    """Says whose text it is wherever the speaker changes."""

    def __init__(self) -> None:
        self._speaker = ""

    def write(self, ref: str, text: str) -> None:
        """Print a piece of an answer."""
        if ref != self._speaker:
            print(f"\n[{ref}] ", end="")
            self._speaker = ref
        print(text, end="", flush=True)

    def show(self, ref: str, event: dict[str, Any]) -> None:
        """Print what an event of a run means for a reader of its text."""
        match event:
            case {"type": "token", "content": text} if not event.get("agent"):  # the answer's own
                self.write(ref, text)
            case {"type": "retract"}:
                self.write(ref, "\n(The model broke off. What it said does not count.)\n")
            case {"type": "error", "message": message}:
                self.write(ref, f"\n{message}")


async def main() -> int:
    server, *questions = sys.argv[1:] or [SERVER]
    waiting: set[str] = set()
    failed = 0
    async with connect(server, max_size=None) as socket:
        for number, question in enumerate(questions or QUESTIONS, 1):
            request = {"op": "start", "ref": str(number), "input": question}
            await socket.send(json.dumps(request))
            waiting.add(str(number))
        screen = Screen()
        while waiting:
            told = json.loads(await socket.recv())
            match told["op"]:
                case "events":
                    for event in told["events"]:
                        screen.show(told["ref"], event)
                case "ended":
                    screen.write(told["ref"], "\n--- end ---")
                    waiting.discard(told["ref"])
                case "error" | "failure":  # not taken; or the run goes on, but not here
                    screen.write(told["ref"], f"\n{told['message']} {told['hint']}")
                    waiting.discard(told["ref"])
                    failed += 1
    print()
    return failed


if __name__ == "__main__":
    sys.exit(run(main()))
