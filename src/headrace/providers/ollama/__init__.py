"""Ollama's own wire: `/api/chat` and `/api/generate`, one JSON object a line.

`encode.py` makes the request, `decode.py` reads the lines, `client.py` carries both.
"""
