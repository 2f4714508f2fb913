"""Where a server is, and when a token goes there."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigurationError
from headrace.frontends.remote_address import check_token, server_address
from headrace.providers.secret import Secret


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://chat.example.org/", "https://chat.example.org"),
        (" localhost:8080\n", "http://localhost:8080"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("[::1]:9", "http://[::1]:9"),
        ("chat.example.org", "https://chat.example.org"),
        ("chat.example.org:8443/ai/", "https://chat.example.org:8443/ai"),
        ("http://host/ai/v1/runs", "http://host/ai"),
        ("http://host/v1", "http://host"),
        ("http://host/v10/x", "http://host/v10/x"),
        ("http://host/#part", "http://host"),
    ],
)
def test_an_address_as_people_write_it(text: str, address: str) -> None:
    assert str(server_address(text)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no address"),
        ("ftp://host", "no address"),
        ("http://", "no address"),
        ("http://host:99999", "no address"),
        ("http://me:secret@host", "a user or a password"),
        ("http://host/?token=secret", "a query"),
    ],
)
def test_what_is_none_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        server_address(text)
    assert why in caught.value.message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://chat.example.org", "http://127.0.0.1:8", "http://[::1]:8", "http://localhost"]
)
def test_a_token_goes_where_nobody_can_read_it(url: str) -> None:
    check_token(server_address(url), Secret("abc"))


def test_over_plain_http_to_another_machine_only_when_told() -> None:
    far = server_address("http://192.0.2.1:8080")
    check_token(far, None)
    check_token(far, Secret("token-1"), insecure=True)
    with pytest.raises(ConfigurationError, match="plain http") as caught:
        check_token(far, Secret("token-1"))
    assert "token-1" not in str(caught.value)


@pytest.mark.parametrize("token", ["two words", "new\nline", "trüb"])
def test_what_no_header_can_carry_is_no_token(token: str) -> None:
    with pytest.raises(ConfigurationError, match="holds characters") as caught:
        check_token(server_address("https://h"), Secret(token))
    assert token not in str(caught.value)
