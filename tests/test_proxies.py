"""Which proxy a URL is asked through."""

from __future__ import annotations

import pytest

from hamster import proxies
from hamster.proxies import client_options, proxy_of

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/v1", "http://localhost:1", "https://[::1]:8000", "http://127.9.9.9", "http://a.localhost"],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_proxy", "https_proxy"])
def test_this_machine_is_asked_without_a_proxy(url, variable, monkeypatch):
    monkeypatch.setenv(variable, "socks5://127.0.0.1:1")
    assert proxy_of(url) is None
    assert client_options(url)["trust_env"] is False


def test_others_are_asked_through_the_proxy_of_their_scheme(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://broken:1")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert client_options("https://robot.example/v1") == {"proxy": "http://proxy.example:3128"}


def test_what_no_proxy_lists_is_asked_directly(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://broken:1")
    monkeypatch.setenv("NO_PROXY", "robot.example,10.0.0.1")
    assert proxy_of("http://robot.example:8000/v1") is None
    assert proxy_of("http://10.0.0.1/v1") is None
    assert proxy_of("http://other.example/v1") is not None


@pytest.mark.parametrize("value", ["socks5://user:secret@10.0.0.1:1080", "ftp://10.0.0.1", "http://", "http://h:port"])
def test_a_proxy_that_cannot_be_used_is_one_line_with_the_variable_and_the_fix(value, monkeypatch):
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)  # wherever socksio happens to be installed
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ValueError, match=r"ALL_PROXY=.*unset ALL_PROXY, or add robot\.example to NO_PROXY") as refused:
        client_options("http://robot.example/v1")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_planner_on_this_machine_needs_no_proxy(monkeypatch):
    pytest.importorskip("openai")
    from hamster.planner.endpoint import EndpointBackend

    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    EndpointBackend.at("http://127.0.0.1:9/v1#nano")
