"""Responses, OpenAI's newer wire, and the servers that speak it too.

`encode.py` makes the request, `decode.py` reads the stream, `client.py` carries both;
`background.py` goes on with an answer whose connection broke.
"""
