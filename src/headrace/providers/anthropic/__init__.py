"""Anthropic's Messages API, and servers that speak it too (llama.cpp's among them).

`encode.py` makes the request, `decode.py` reads the stream, `client.py` carries both;
`blocks.py` joins the content blocks, `event.py` holds what an event looks like.
"""
