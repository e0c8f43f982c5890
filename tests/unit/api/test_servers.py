"""Which OpenMetadata servers an administrator's patterns allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from urllib3.util import parse_url
from yarl import URL

from ingestion_operator.api.validation import describe_error
from testing.objects import settings

HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9-]{0,8}){0,3}", fullmatch=True).filter(
    lambda host: "-." not in host and not host.endswith("-")
)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("openmetadata", "http://openmetadata:8585/api"),
        ("openmetadata", "http://openmetadata/api"),
        ("openmetadata", "https://openmetadata"),
        ("OpenMetadata.Example.com", "https://openmetadata.example.COM/api"),
        ("openmetadata.example.com.", "https://openmetadata.example.com/api"),
        ("openmetadata.example.com", "https://openmetadata.example.com.:443/api"),
        ("openmetadata:8585", "http://openmetadata:8585/api"),
        ("openmetadata:8585", "http://openmetadata:08585/api"),
        ("openmetadata:443", "https://openmetadata/api"),
        ("openmetadata:80", "http://openmetadata/api"),
        ("*.example.com", "https://a.example.com/api"),
        ("*.example.com", "https://a.b.example.com/api"),
        ("*.Example.com.:443", "https://a.example.com./api"),
        ("*.svc", "http://openmetadata.team-a.svc:8585/api"),
        ("10.0.0.1", "http://10.0.0.1:8585/api"),
        ("[2001:db8::1]", "http://[2001:DB8:0:0::1]:8585/api"),
        ("[2001:0db8::1]:8585", "http://[2001:db8::1]:8585/api"),
        ("open_metadata", "http://open_metadata:8585/api"),
    ],
)
def test_a_server_that_a_pattern_names_is_allowed(pattern: str, url: str) -> None:
    assert settings(allowedServers=["other", pattern]).allows_server(url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("openmetadata", "http://openmetadata.evil.example/api"),
        ("openmetadata", "http://evil.openmetadata/api"),
        ("openmetadata:8585", "http://openmetadata/api"),
        ("openmetadata:8585", "http://openmetadata:85850/api"),
        ("openmetadata:443", "http://openmetadata/api"),
        ("*.example.com", "https://example.com/api"),
        ("*.example.com", "https://evilexample.com/api"),
        ("*.example.com", "https://.example.com/api"),
        ("*.example.com", "https://a.example.com.evil.example/api"),
        ("*.example.com", "https://evil.example/a.example.com"),
        ("*.example.com", "https://evil.example?a.example.com"),
        ("*.example.com", "https://evil.example#a.example.com"),
        ("*.example.com", "https://evil.example\\a.example.com"),
        ("*.example.com", "https://evil.example\\.example.com"),
        ("*.example.com", "https://evil.example%2f.example.com"),
        ("*.example.com", "https://evil.example@a.example.com"),
        ("*.example.com", "https://a.example.com@evil.example"),
        ("*.example.com", "https://a.example.com:443@evil.example"),
        ("*.example.com", "https://a。example.com/api"),
        ("*.example.com", "https://\uff41.example.com/api"),
        ("*.example.com", "https://a.example.com..\n/api"),
        ("openmetadata", "http://openmetadata:/api"),
        ("openmetadata", "http://openmetadata:8585:1/api"),
        ("openmetadata", "http://openmetadata:99999/api"),
        ("openmetadata", "ftp://openmetadata/api"),
        ("openmetadata", "openmetadata"),
        ("openmetadata", ""),
        ("openmetadata", "http://open\u017fmetadata/api"),
        ("169.254.169.25", "http://169.254.169.254/latest"),
        ("127.0.0.1", "http://2130706433/api"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/api"),
        ("[::1]", "http://[::2]/api"),
        ("[::1]", "http://[::1%25eth0]/api"),
        ("[::1]", "http://[::1/api"),
        ("[::1]:1", "http://[::1]:2/api"),
    ],
)
def test_any_other_server_is_not_allowed(pattern: str, url: str) -> None:
    assert not settings(allowedServers=[pattern]).allows_server(url)


def test_every_server_is_allowed_where_the_settings_name_none() -> None:
    assert settings().allows_server("http://169.254.169.254/latest")


@given(HOSTS, HOSTS)
def test_a_host_allows_itself_and_its_wildcard_what_is_below_it(host: str, label: str) -> None:
    assert settings(allowedServers=[host]).allows_server(f"https://{host.upper()}/api")
    below = f"http://{label}.{host}:8585/api"
    assert settings(allowedServers=[f"*.{host}"]).allows_server(below)
    assert not settings(allowedServers=[host]).allows_server(below)
    assert not settings(allowedServers=[f"*.{label}.{host}"]).allows_server(below)


PIECES = [
    "a",
    "b.",
    ".example.com",
    "evil.example",
    "@",
    ":",
    "80",
    "/",
    "\\",
    "?",
    "#",
    "[",
    "]",
    "%2f",
    "\u3002",
    " ",
    ".",
]
URLS = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: f"http://{''.join(pieces)}")


@given(URLS)
def test_what_is_allowed_is_the_host_that_http_clients_call(url: str) -> None:
    if settings(allowedServers=["*.example.com"]).allows_server(url):
        for host in (parse_url(url).host, URL(url).host):
            assert host is not None
            assert host.removesuffix(".").endswith(".example.com")


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [
        ("", "write a host"),
        ("http://openmetadata:8585/api", "write only the host of the URL"),
        ("openmetadata/api", "write only the host of the URL"),
        ("admin@openmetadata", "write a host"),
        ("*", "write * as the first label only, as in *.example.com"),
        ("*.", "write * as the first label only"),
        ("*example.com", "write * as the first label only"),
        ("a.*.example.com", "write * as the first label only"),
        ("*.*.example.com", "write * as the first label only"),
        ("*.[::1]", "write * as the first label only"),
        ("2001:db8::1", "write an IPv6 address in brackets, as in [2001:db8::1]:8585"),
        ("[2001:db8::1", "write an IPv6 address in brackets"),
        ("[2001:db8::1::2]", "write an IPv6 address in brackets"),
        ("[10.0.0.1]", "write an IPv6 address in brackets"),
        ("openmetadata:", "write a port from 1 to 65535 after the colon"),
        ("openmetadata:0", "write a port from 1 to 65535 after the colon"),
        ("openmetadata:65536", "write a port from 1 to 65535 after the colon"),
        ("openmetadata:http", "write a port from 1 to 65535 after the colon"),
        ("open metadata", "write a host"),
        ("openmetadata\n", "write a host"),
        ("-openmetadata", "write a host"),
        ("a..b", "write a host"),
        ("zürich.example.com", "write a host"),
    ],
)
def test_a_wrong_pattern_is_refused_with_value_and_fix(pattern: str, fix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(allowedServers=["good", pattern])
    text = describe_error(caught.value)
    assert text.startswith(f"allowedServers.1: {pattern!r} ")
    assert fix in text


def test_there_are_bounds_to_patterns_and_to_their_number() -> None:
    with pytest.raises(ValidationError, match="at most 270 characters"):
        settings(allowedServers=["a" * 271])
    with pytest.raises(ValidationError, match="at most 256 items"):
        settings(allowedServers=["a"] * 257)
