"""Who may use a server: what both servers share."""

import pytest

from hamster.serving.auth import is_authorized, is_local_name, is_loopback, required_api_key


@pytest.mark.parametrize(("host", "loopback"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.7", False), ("robot.lan", False), ("", False),
])  # fmt: skip
def test_which_addresses_are_this_machines_own(host, loopback, monkeypatch):
    assert is_loopback(host) is loopback
    monkeypatch.delenv("HAMSTER_API_KEY", raising=False)
    if loopback:
        assert required_api_key(host) is None
    else:
        with pytest.raises(ValueError, match="HAMSTER_API_KEY"):
            required_api_key(host)
    monkeypatch.setenv("HAMSTER_API_KEY", "secret")
    assert required_api_key(host) == "secret"


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1:8000", True), ("[::1]:8000", True), ("localhost", True), ("a.localhost:1", True), ("10.0.0.7", True),
    ("evil.example", False), ("evil.example:8000", False), ("", False), ("127.0.0.1.evil.example", False), ("[", False),
])  # fmt: skip
def test_which_host_headers_are_no_rebound_name(host, local):
    assert is_local_name(host) is local


@pytest.mark.parametrize(("headers", "accepted"), [
    (["Bearer key"], True), (["bearer  key "], True), (["Bearer Key"], False), (["Bearer"], False), (["key"], False),
    (["Api-Key key"], False), ([], False), (["Bearer key", "Bearer key"], False), (["Bearer key\udcff"], False),
])  # fmt: skip
def test_the_key_is_sent_once_in_its_scheme(headers, accepted):
    assert is_authorized(headers, "Bearer", "key") is accepted


def test_a_key_may_hold_any_characters():
    """Header values are decoded as UTF-8 or ASCII, with surrogates for other bytes; the environment is UTF-8."""
    sent = "clé".encode().decode("ascii", errors="surrogateescape")
    assert is_authorized([f"Api-Key {sent}"], "Api-Key", "clé") and is_authorized(["Api-Key clé"], "Api-Key", "clé")
