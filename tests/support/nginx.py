"""A real nginx in front of a server on loopback, with a configuration of its own.

with nginx(tmp_path, upstream, "proxy_buffering off;") as url:
    ...
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CONFIG = """
error_log {folder}/error.log;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            {lines}
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: str, *lines: str) -> Iterator[str]:
    """Run nginx in front of `upstream`; gives its address. Skips the test where there is none.

    Args:
        folder: An empty folder, for all of its files.
        upstream: Such as ``http://127.0.0.1:8080``.
        lines: Directives of the location.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no nginx: apt-get install nginx-light")
    for _ in range(5):  # the port may be taken between the look at it and its use
        port = _free_port()
        config = folder / "nginx.conf"
        given = {"folder": folder, "port": port, "upstream": upstream}
        config.write_text(_CONFIG.format(**given, lines="\n            ".join(lines)))
        # One process, so that stopping it by its id stops all of it.
        options = ["-p", str(folder), "-c", str(config), "-g", "daemon off; master_process off;"]
        with subprocess.Popen([program, *options], stderr=subprocess.PIPE) as process:  # noqa: S603
            try:
                if _answers(process, port):
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                process.terminate()
                told = process.communicate(timeout=20)[1].decode("utf-8", "replace")
        if "Address already in use" not in told:
            raise RuntimeError(f"nginx did not start: {told}")
    raise RuntimeError("no port was free for nginx")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.005)
    return False
