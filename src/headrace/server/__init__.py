"""Headrace over HTTP: `app` is an ASGI application, `serve` runs it.

Needs the extra ``server``: ``pip install "headrace[server]"``.
"""

from headrace.errors import MissingExtra

try:
    from headrace.server.app import HeadraceApp, app
    from headrace.server.serving import serve
    from headrace.server.settings import Settings
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
        raise
    raise MissingExtra(
        f"headrace.server needs {error.name}, which is not installed.",
        hint='pip install "headrace[server]"',
    ) from None

__all__ = ["HeadraceApp", "Settings", "app", "serve"]
