"""Addresses and messages without secrets."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.errors import ConfigError
from econ_env.llm.http.address import Address, clean_url, read_addresses, without_login
from econ_env.llm.http.secrets import login_header, remember_secret, scrub, well_formed

WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789%!$&'()*+,;=-._~", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("given_", "clean"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("  https://host/api/v3 ", "https://host/api/v3"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ("https://user:pass@host/v1", "https://host/v1"),
        ("https://user@host:81/v1", "https://host:81/v1"),
        ("HTTPS://HOST/v1", "https://host/v1"),
    ],
)
def test_what_is_left_of_a_url(given_, clean):
    assert clean_url(given_) == clean


@pytest.mark.parametrize(
    "bad", ["ftp://host/v1", "http://", "host:80/v1", "http://host:port/v1", "http://h/v1?key=geheim", "http://h/v1#x"]
)
def test_what_is_no_address_is_refused_without_showing_a_key(bad):
    with pytest.raises(ConfigError) as caught:
        clean_url(bad)
    assert "geheim" not in str(caught.value)


def test_a_refused_url_does_not_show_its_password():
    with pytest.raises(ConfigError) as caught:
        clean_url("http://user:geheim@host/v1?x=1")
    assert "geheim" not in str(caught.value)


def test_what_is_no_url_is_stored_as_it_is():
    assert [without_login(spec) for spec in ("auto", "local:m.gguf", "http://u:geheim@h/v1")] == [
        "auto",
        "local:m.gguf",
        "http://h/v1",
    ]


@pytest.mark.parametrize(
    ("given_", "addresses"),
    [
        ("http://one:80", [Address("http://one:80/v1")]),
        ("http://one/v1,https://two/v1*3", [Address("http://one/v1"), Address("https://two/v1", 3.0)]),
        (" http://one/v1*.5 , http://two/v1*2.5 ", [Address("http://one/v1", 0.5), Address("http://two/v1", 2.5)]),
        ("http://u:p,*2@one/v1*2", [Address("http://one/v1", 2.0)]),
    ],
)
def test_several_addresses_and_their_weights(given_, addresses):
    assert list(read_addresses(given_)) == addresses
    stored = without_login(given_)
    assert list(read_addresses(stored)) == addresses
    assert without_login(stored) == stored


def test_credentials_become_a_login_with_percent_codes_undone():
    clean = clean_url("http://al%40ice:p%2Fss@login.test/v1")
    assert login_header(clean) == "Basic " + base64.b64encode(b"al@ice:p/ss").decode()
    assert login_header("http://other.test/v1") is None


@given(user=WORDS.map(lambda text: text.replace("%", "")), password=WORDS.map(lambda text: text.replace("%", "")))
def test_no_credential_survives_in_the_url_or_in_a_message(user, password):
    url = f"http://{user}:{password}@host.example/v1"
    clean = clean_url(url)
    assert clean == "http://host.example/v1"
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    said = scrub(f"could not reach {url}: login {token} as {user} with {password} failed")
    assert f"{user}:{password}" not in said
    assert token not in said
    assert "@host" not in said or "***@host" in said


def test_keys_of_the_environment_are_blotted_out_and_keys_once_used_stay_so(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-umgebung")
    remember_secret("sk-frueher")
    assert scrub("bad key sk-umgebung, was sk-frueher") == "bad key ***, was ***"


def test_a_message_is_one_line_that_can_be_encoded():
    assert scrub("a\n  b\ud83d") == "a b\ufffd"


@given(st.text(st.characters(), max_size=40))
def test_well_formed_text_encodes_and_is_kept_where_it_was_so_already(text):
    fine = well_formed(text)
    fine.encode()
    assert well_formed(fine) == fine
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert fine == text


def test_a_pair_written_as_two_halves_becomes_its_letter():
    assert well_formed("\ud83d\ude00") == "\U0001f600"


@pytest.mark.parametrize(
    "url",
    [
        "http://bob:p@ssw0rd-x@host/a,b",
        "http://bob:ssw0rd/x@host:8000/v1",
        "http://bob:ssw0rd-x@host:80x/v1",
        "http://bob:ssw0rd:9/x@[::1/v1",
    ],
)
def test_a_refused_url_shows_nothing_of_its_password(url):
    with pytest.raises(ConfigError) as error:
        clean_url(url)
    assert "ssw0rd" not in str(error.value)
    assert "bob" not in str(error.value)
