"""Which hosts are this machine itself, and which proxy stands before the others."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a host is this machine: ``localhost`` (RFC 6761, 6.3), ``127.0.0.0/8``, ``::1``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(scheme: str, host: str) -> str | None:
    """The environment's proxy (``HTTPS_PROXY``, ``NO_PROXY``); none for this machine itself."""
    from urllib.request import getproxies, proxy_bypass

    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(scheme)
