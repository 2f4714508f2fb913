"""The diagnosis, by values: what times, headers and cuts mean, and which line is to change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.frontends.doctor_findings import Finding, Mark, diagnose
from headrace.frontends.doctor_measured import Arrival, Examined, Health, Probe, Way
from headrace.frontends.doctor_remedies import REMEDIES, Fault, proxies, remedies

N, EVERY = 8, 0.2
SENT = [n * EVERY for n in range(N)]
NGINX = Way({"server": "nginx/1.22.1"}, "1.1")
OK = Health("ok", 0.01)


def probe(
    arrived: list[float], *, sent: list[float] = SENT, way: Way = NGINX, encoding: str = ""
) -> Probe:
    arrivals = tuple(Arrival(*times) for times in zip(sent, arrived, strict=False))
    return Probe(len(sent), EVERY, 0.01, arrivals, (arrived or [0.5])[-1], encoding, way)


PROMPT = probe([0.01 + t for t in SENT])
AT_THE_END = probe([1.5] * N)
ONE_BEHIND = probe([0.01 + t for t in [*SENT[1:], SENT[-1]]])


def examined(**seen: Probe | str | Health | None) -> Examined:
    given: dict[str, object] = {
        **{"health": OK, "small": PROMPT, "large": PROMPT, "unasked": PROMPT, "packed": PROMPT}
    }
    return Examined("http://h", **(given | seen))  # type: ignore[arg-type]


def found(seen: Examined) -> dict[str, Finding]:
    return {finding.what: finding for finding in diagnose(seen)}


def test_all_is_well() -> None:
    assert [f.mark for f in diagnose(examined())] == [
        *("ok", "ok", "ok", "ok", "ok", "note", "ok", "note")
    ]
    assert not any(f.change for f in diagnose(examined()))


@given(st.lists(st.floats(0, EVERY * 0.49), min_size=N, max_size=N), st.floats(-1e9, 1e9))
def test_jitter_and_foreign_clocks_are_no_fault(jitter: list[float], clock: float) -> None:
    arrived = [t + j for t, j in zip(SENT, jitter, strict=True)]
    assert probe(arrived, sent=[t + clock for t in SENT]).held == "no"


@given(st.floats(-1e6, 1e6), st.integers(0, 2))
def test_a_hiccup_of_the_network_is_no_fault(clock: float, at: int) -> None:
    arrived = [t + clock for t in SENT]
    arrived[at] = arrived[at + 1] = arrived[at + 2]
    assert probe(arrived).held == "no"


@given(st.floats(-1e6, 1e6), st.integers(3, N))
def test_clumps_of_three_and_more_are_found(clock: float, size: int) -> None:
    ends = [min((n // size + 1) * size, N) - 1 for n in range(N)]
    assert probe([SENT[end] + clock for end in ends]).held != "no"


def test_how_much_is_held() -> None:
    assert PROMPT.held == "no"
    assert AT_THE_END.held == "all"
    assert ONE_BEHIND.held == "some"
    assert probe([0.9] * 5 + [1.0, 1.2, 1.4]).held == "some"  # the beginning
    assert probe([0.1], sent=[0.0]).held == "no"
    assert probe([0.1, 0.1], sent=[0.0, 0.0]).held == "no"


def test_a_stream_that_is_held_to_its_end() -> None:
    finding = found(examined(small=AT_THE_END))["streaming"]
    assert finding.mark == "fault"
    assert finding.text == "held back until the end: 8 frames came at once, the first 1400 ms late"
    assert finding.change == (("nginx", REMEDIES["buffering"]["nginx"]),)


def test_large_frames_that_wait_for_the_next_one() -> None:
    finding = found(examined(large=ONE_BEHIND, unasked=ONE_BEHIND))["large events"]
    assert (finding.mark, finding.text) == (
        *("fault", "held back: frames wait for others, 200 ms each"),
    )
    assert "proxy_buffering off" in finding.change[0][1]


def test_a_proxy_that_does_as_it_is_told_is_noted() -> None:
    seen = found(examined(unasked=ONE_BEHIND))
    assert seen["buffering"].mark == "note"
    assert seen["large events"].mark == "ok"
    assert "buffering" not in found(examined())
    assert "buffering" not in found(examined(large=ONE_BEHIND, unasked=ONE_BEHIND))


def zipped(held: Probe) -> Probe:
    return Probe(N, EVERY, 0.01, held.arrivals, held.ended_after, "gzip", NGINX)


def test_compression_in_time_is_a_warning_and_held_back_a_fault() -> None:
    assert found(examined(packed=zipped(PROMPT)))["compression"].mark == "warning"
    late = found(examined(packed=zipped(AT_THE_END)))["compression"]
    assert (late.mark, late.text) == (
        *("fault", "gzip, and frames are held back: up to 1400 ms late"),
    )
    # Plain ones are not, so that either line helps; where they are, theirs stands there already.
    assert [line.split()[0] for _, line in late.change] == ["gzip", "proxy_buffering"]
    both = found(examined(small=AT_THE_END, packed=zipped(AT_THE_END)))["compression"]
    assert [line.split()[0] for _, line in both.change] == ["gzip"]


def test_a_compressed_stream_that_breaks_off() -> None:
    cut = Probe(N, EVERY, 0.01, PROMPT.arrivals[:2], 0.4, "gzip", NGINX)
    assert found(examined(packed=cut))["compression"].text == (
        "gzip; broken off after 2 of 8 frames, 0.4 s after the request"
    )


@pytest.mark.parametrize(
    ("idle", "mark", "text"),
    [
        (None, "note", "not tried; --idle 60 does"),
        (probe([0.0, 60.0], sent=[0.0, 60.0]), "ok", "0.2 s of it pass"),
        (
            Probe(2, 60.0, 0.01, (Arrival(0, 0.1),), 2.1, "", NGINX),
            *("fault", "cut off after 2.0 s; a stream may be silent for 15 s"),
        ),
        (
            Probe(2, 60.0, 0.01, (Arrival(0, 0.1),), 30.1, "", NGINX),
            "warning",
            "cut off after 30.0 s; a stream says something every 15 s, and so goes on",
        ),
        ("No connection.", "fault", "No connection."),
    ],
)
def test_silence(idle: Probe | str | None, mark: Mark, text: str) -> None:
    finding = found(examined(idle=idle))["silence"]
    assert (finding.mark, finding.text) == (mark, text)
    assert [line for _, line in finding.change] == (
        ["proxy_read_timeout 300s;"] if "cut off" in text else []
    )


def test_a_stream_that_breaks_off() -> None:
    cut = probe([0.1, 0.3])
    finding = found(examined(small=cut))["streaming"]
    assert (finding.mark, finding.text) == (
        *("fault", "broken off after 2 of 8 frames, 0.3 s after the request"),
    )


def test_what_could_not_be_measured_is_a_fault_in_its_own_words() -> None:
    seen = found(examined(small="Refused.", large="Refused.", unasked="Refused.", packed="No."))
    assert {what for what, f in seen.items() if f.mark == "fault"} == {
        *("streaming", "large events", "compression"),
    }
    assert seen["streaming"].text == "Refused."


def test_a_server_that_is_not_there_is_all_that_is_told() -> None:
    (finding,) = diagnose(examined(health="No connection to h:80."))
    assert (finding.what, finding.mark, finding.text) == (
        *("server", "fault", "No connection to h:80."),
    )


def test_a_server_that_is_about_to_stop_says_so() -> None:
    finding = found(examined(health=Health("draining", 0.01)))["server"]
    assert finding.mark == "warning"
    assert "draining" in finding.text


def test_http_versions() -> None:
    old = found(examined(small=probe(SENT, way=Way({"server": "nginx"}, "1.0"))))["http"]
    assert old.mark == "warning"
    assert "proxy_http_version 1.1;" in old.change[0][1]
    http1 = Examined("https://h", OK, PROMPT, PROMPT, PROMPT, PROMPT, None, "http/1.1")
    assert "six streams" in found(http1)["http"].text
    assert "http2" in found(http1)["http"].change[0][1]
    http2 = Examined("https://h", OK, PROMPT, PROMPT, PROMPT, PROMPT, None, "h2")
    assert found(http2)["http"].text == "browsers get HTTP/2; HTTP/1.1 at the server"


def test_a_slow_first_byte_is_mentioned() -> None:
    slow = Probe(N, EVERY, 1.5, PROMPT.arrivals, 3.0, "", NGINX)
    assert found(examined(small=slow))["first byte"].mark == "warning"


@pytest.mark.parametrize(
    ("way", "names"),
    [
        (Way(), []),
        (Way({"server": "uvicorn"}), []),
        (Way({"server": "nginx/1.27.0"}), ["nginx"]),
        (Way({"server": "openresty"}), ["nginx"]),
        (Way({"server": "Caddy"}), ["Caddy"]),
        (Way({"via": "1.1 Caddy", "server": "nginx"}), ["nginx", "Caddy"]),
        (Way({"server": "Apache/2.4.62 (Debian)"}), ["Apache"]),
        (Way(request=("x-forwarded-for", "x-forwarded-server")), ["Apache"]),
        (Way(request=("x-forwarded-server", "x-forwarded-port")), ["Traefik"]),
        (Way({"server": "cloudflare", "cf-ray": "1"}, request=("cf-ray",)), ["Cloudflare"]),
        (Way({"via": "1.1 abc.cloudfront.net (CloudFront)"}), ["CloudFront"]),
        (Way({"server": "envoy"}, request=("x-envoy-external-address",)), ["Envoy"]),
        (Way(via="1.1 varnish"), ["Varnish"]),
        (Way(request=("x-amzn-trace-id",)), ["AWS"]),
        (Way({"server": "gizmo/2"}), ["gizmo/2"]),
        (Way(request=("x-forwarded-for",), hops=1), []),
    ],
)
def test_who_stands_on_the_way(way: Way, names: list[str]) -> None:
    assert proxies(way) == names


def test_what_proxies_are_called_in_the_report() -> None:
    def told(way: Way) -> str:
        return found(examined(small=probe(SENT, way=way)))["proxies"].text

    assert told(Way({}, "1.1")) == "none seen"
    assert told(NGINX) == "nginx/1.22.1"
    unnamed = Way({}, "1.1", hops=1, request=("x-forwarded-for",))
    assert told(unnamed) == (
        "one or more that do not say who they are; 1 address in X-Forwarded-For"
    )
    assert told(Way({"server": "nginx"}, "1.1", "1.1 one", 2)) == (
        "nginx, 1.1 one; 2 addresses in X-Forwarded-For"
    )
    behind = Way({"server": "cloudflare"}, "1.1", request=("x-forwarded-server",))
    assert told(behind) == "cloudflare, Apache"


@pytest.mark.parametrize("fault", list(REMEDIES))
def test_known_proxies_get_their_line_and_unknown_ones_every_line(fault: Fault) -> None:
    every = remedies(fault, [])
    assert every[0][0] == "nginx"
    assert every[-1][0] == "others"
    assert remedies(fault, ["gizmo/2"]) == every
    assert remedies(fault, ["nginx"]) == [every[0]]
    assert all(len(line) < 120 for _, line in every)
