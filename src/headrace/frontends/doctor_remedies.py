"""Which line of configuration to change, for each fault and each proxy. Data, and who is who.

Sources: the manuals of nginx (ngx_http_proxy_module, ngx_http_gzip_module, ngx_http_v2_module),
Caddy (reverse_proxy, encode), Apache httpd 2.4 (mod_proxy, mod_deflate, mod_buffer, mod_http2),
HAProxy (option http-no-delay, timeouts, compression), Envoy (buffer and compressor filters,
timeouts), Traefik (buffering and compress middlewares), Cloudflare (zone settings, connection
limits) and AWS (load balancer attributes).

Measured with nginx 1.22: with `proxy_buffering on` small frames pass at once, the end of a frame
that is larger than a buffer (4 KiB) waits for the next one, and together with `gzip` nothing
passes before the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from headrace.frontends.doctor_measured import Way

Fault = Literal["buffering", "compression", "idle", "http10", "http1"]

REMEDIES: dict[Fault, dict[str, str]] = {
    "buffering": {
        "nginx": "proxy_buffering off;   (in the location; no proxy_ignore_headers "
        "X-Accel-Buffering)",
        "Caddy": "reverse_proxy … { flush_interval -1 }   (and no response_buffers)",
        "Apache": 'ProxyPass "/" "http://…/" flushpackets=on   (and no SetOutputFilter BUFFER)',
        "Cloudflare": "zone setting response_buffering: off; a Cache Rule that bypasses the cache",
        "HAProxy": "option http-no-delay",
        "Envoy": "take envoy.filters.http.buffer out of http_filters",
        "Traefik": "take the buffering middleware off the router",
        "others": "switch response buffering off for text/event-stream",
    },
    "compression": {
        "nginx": "gzip off;   (in the location, or text/event-stream out of gzip_types)",
        "Caddy": "@whole not path /v1/* /api/* /chat/*  and  encode @whole gzip",
        "Apache": "SetEnvIf Request_URI ^/(v1|api|chat)/ no-gzip=1",
        "Cloudflare": "a Compression Rule for these paths: disable compression",
        "HAProxy": "take text/event-stream out of compression type",
        "Envoy": "take text/event-stream out of the compressor's content_type",
        "Traefik": "compress.excludedContentTypes: [text/event-stream]",
        "others": "do not compress text/event-stream, nor what says no-transform",
    },
    "idle": {
        "nginx": "proxy_read_timeout 300s;",
        "Caddy": "reverse_proxy … { transport http { read_timeout 300s } }",
        "Apache": "ProxyTimeout 300",
        "Cloudflare": "100 s without a byte are its limit; only Enterprise plans raise it",
        "HAProxy": "timeout server 300s  and  timeout client 300s",
        "Envoy": "stream_idle_timeout: 300s, and the route's timeout: 0s",
        "AWS": "idle_timeout.timeout_seconds = 300   (of the load balancer)",
        "others": "raise the time that a response may be silent to 300 s",
    },
    "http10": {
        "nginx": "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";',
        "Apache": "take SetEnv force-proxy-request-1.0 out",
        "others": "let the proxy speak HTTP/1.1 to the server",
    },
    "http1": {
        "nginx": "http2 on;   (before 1.25.1: listen 443 ssl http2;)",
        "Caddy": "servers { protocols h1 h2 h3 }   (which is its default)",
        "Apache": "Protocols h2 http/1.1",
        "HAProxy": "bind :443 ssl crt … alpn h2,http/1.1",
        "others": "offer HTTP/2",
    },
}
"""Fault to proxy to line."""

_BY_NAME = (
    ("nginx", r"\b(nginx|openresty|tengine)\b"),
    ("Caddy", r"\bcaddy\b"),
    ("Apache", r"\bapache\b"),
    ("Cloudflare", r"\bcloudflare\b"),
    ("CloudFront", r"\bcloudfront\b"),
    ("Varnish", r"\b(varnish|fastly)\b"),
    ("Envoy", r"\b(envoy|istio-envoy)\b"),
    ("Traefik", r"\btraefik\b"),
    ("HAProxy", r"\bhaproxy\b"),
    ("AWS", r"\bawselb\b"),
    ("IIS", r"\bmicrosoft-iis\b"),
    ("Google", r"\b(google|gws)\b"),
    ("Squid", r"\bsquid\b"),
)
_BY_HEADER = {
    "cf-ray": "Cloudflare",
    "x-amz-cf-id": "CloudFront",
    "x-amzn-trace-id": "AWS",
    "x-azure-ref": "Azure",
    "x-cloud-trace-context": "Google",
    "x-envoy-upstream-service-time": "Envoy",
    "x-envoy-external-address": "Envoy",
    "fastly-client-ip": "Varnish",
    "fly-client-ip": "Fly",
    "x-vercel-id": "Vercel",
}
_APPLICATION = re.compile(r"\b(headrace|uvicorn|hypercorn|granian|daphne|gunicorn|python)\b", re.I)


def proxies(way: Way) -> list[str]:
    """Who stands on the way, as far as headers tell; in no order."""
    said = f"{way.answer.get('server', '')} {way.answer.get('via', '')} {way.via}"
    found = [name for name, pattern in _BY_NAME if re.search(pattern, said, re.I)]
    found += [name for header, name in _BY_HEADER.items() if header in (*way.answer, *way.request)]
    # Apache adds this one and neither of the others; Traefik adds all three.
    if "x-forwarded-server" in way.request:
        found.append("Traefik" if "x-forwarded-port" in way.request else "Apache")
    server = way.answer.get("server", "")
    unknown = [server] if server and not found and not _APPLICATION.search(server) else []
    return [*dict.fromkeys(found), *unknown]


def remedies(fault: Fault, found: Iterable[str]) -> list[tuple[str, str]]:
    """Proxy and line to change: of those that are there, or of all where none of them is known."""
    known = REMEDIES[fault]
    here = [(name, known[name]) for name in found if name in known]
    return here or list(known.items())
