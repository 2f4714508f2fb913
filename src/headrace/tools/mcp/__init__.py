"""Tools from servers of the Model Context Protocol (https://modelcontextprotocol.io).

Needs the extra ``mcp``: ``pip install "headrace[mcp]"``. `toolbox.py` is `mcp_tools`, `servers.py`
says which server, `connection.py` holds the session with it, `stdio_transport.py` and
`http_transport.py` carry it; `mcp_tool.py`, `tool_names.py` and `result_text.py` make tools of what
the server offers.
"""

from headrace.errors import MissingExtra

try:
    from headrace.tools.mcp.mcp_tool import McpTool
    from headrace.tools.mcp.servers import Http, Stdio, http, stdio
    from headrace.tools.mcp.toolbox import McpTools, mcp_tools
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "anyio", "httpx2"):
        raise
    raise MissingExtra(
        f"headrace.tools.mcp needs {error.name}, which is not installed.",
        hint='pip install "headrace[mcp]"',
    ) from None

__all__ = ["Http", "McpTool", "McpTools", "Stdio", "http", "mcp_tools", "stdio"]
