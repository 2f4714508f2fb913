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
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
        listen 127.0.0.1:{port} {listen};
        {certificate}
        location / {{
            proxy_pass {upstream};
            {lines}
        }}
    }}
}}
"""

_CERTIFICATE = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"


@contextmanager
def nginx(
    folder: Path, upstream: str, *lines: str, tls: bool = False, http2: bool = False
) -> Iterator[str]:
    """Run nginx in front of `upstream`; gives its address. Skips the test where there is none.

    Args:
        folder: An empty folder, for all of its files.
        upstream: Such as ``http://127.0.0.1:8080``.
        lines: Directives of the location.
        tls: Speak TLS, with the certificate ``cert.pem`` that is then in the folder.
        http2: Offer HTTP/2 there.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no nginx: apt-get install nginx-light")
    if tls:
        _certify(folder)
    for _ in range(5):  # the port may be taken between the look at it and its use
        port = _free_port()
        config = folder / "nginx.conf"
        given = {"folder": folder, "port": port, "upstream": upstream, "lines": "\n".join(lines)}
        listen = " ".join(["ssl"] * tls + ["http2"] * http2)
        certificate = _CERTIFICATE.format(folder=folder) if tls else ""
        config.write_text(_CONFIG.format(**given, listen=listen, certificate=certificate))
        # One process, so that stopping it by its id stops all of it.
        options = ["-p", str(folder), "-c", str(config), "-g", "daemon off; master_process off;"]
        with subprocess.Popen([program, *options], stderr=subprocess.PIPE) as process:  # noqa: S603
            try:
                if _answers(process, port):
                    yield f"http{'s' * tls}://127.0.0.1:{port}"
                    return
            finally:
                process.terminate()
                told = process.communicate(timeout=20)[1].decode("utf-8", "replace")
        if "Address already in use" not in told:
            raise RuntimeError(f"nginx did not start: {told}")
    raise RuntimeError("no port was free for nginx")


def _certify(folder: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, kind, plain))


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
