"""Floor 2: tools, the functions that a model may call.

`tool.py` is `@tool`, `schema.py` the arguments (their JSON Schema and their check),
`docstring.py` what the docstring says of them, `context.py` what a running tool is given,
`execute.py` runs one call, `output.py` makes its result text. `mcp/` makes tools of what MCP
servers offer.
"""
