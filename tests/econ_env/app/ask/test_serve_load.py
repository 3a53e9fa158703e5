"""Many requests at once, clients that hang up, slow readers, and pages of other origins."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

import httpx2 as httpx
import openai
import pytest

from econ_env.app.ask.cross_origin import check_origins
from econ_env.app.cli import econ
from econ_env.errors import ConfigError
from econ_env.testing.faulty_server import FaultyServer
from tests.econ_env.app.ask.serving import PROBLEMS, a_client, a_solver, ask, served

PAGE = "http://localhost:3000"


def reply(body):
    """Answers with the number that the question ends with."""
    asked = body["messages"][-1]["content"].partition("Question: ")[2].splitlines()[0]
    return f"The answer is {asked.rpartition(' ')[2].strip('?')}."


@pytest.fixture
def behind(small):
    """A team behind which a real server counts the calls."""

    def make(latency=0.0, *settings):
        models = FaultyServer(reply, latency=latency)
        models.__enter__()
        started.append(models)
        more = ("env_args.reply_format=text", f"llm.backend={models.url}", "llm.cache=false", "llm.concurrency=64")
        return models, a_solver(small, None, *more, *settings)

    started = []
    yield make
    for models in started:
        models.__exit__(None, None, None)


def test_32_requests_at_once_get_their_own_answers(behind):
    models, solver = behind(0.05)

    async def everybody(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, f"What is 0 + {number}?") for number in range(32)))

    with served(solver) as url:
        done = asyncio.run(everybody(url))
    assert [one.model_extra["econ"]["answer"] for one in done] == [str(number) for number in range(32)]
    assert models.seen.calls == 32 * 5
    assert models.seen.most_in_flight > 32


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_the_calls_of_a_client_that_hangs_up_stop(behind, path):
    models, solver = behind(0.4)
    with served(solver) as url:
        for body, calls in (({}, 1), ({"n": 4}, 4)):
            if path == "/responses" and body:
                continue
            before = models.seen.calls
            asked = {"model": "econ", "messages": [{"role": "user", "content": "What is 0 + 7?"}], **body}
            asked = asked if path == "/chat/completions" else {"model": "econ", "input": "What is 0 + 8?"}
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + path, json=asked, timeout=0.2)  # while the coordinator plans
            time.sleep(1.5)  # as long as executors and commitment would have taken
            assert models.seen.calls - before == calls
        with a_client(url) as client:
            assert ask(client, "What is 0 + 9?").model_extra["econ"]["answer"] == "9"
    assert models.seen.in_flight == 0


def test_a_slow_reader_keeps_nobody_waiting(behind):
    _, solver = behind()
    with served(solver) as url, socket.socket() as slow, a_client(url) as client:
        place = urlsplit(url)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        slow.connect((place.hostname, place.port))
        body = b'{"model": "econ", "stream": true, "messages": [{"role": "user", "content": "What is 0 + 6?"}]}'
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        slow.sendall(head.encode() + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body)
        for number in range(3):
            assert ask(client, f"What is 0 + {number}?").model_extra["econ"]["answer"] == str(number)
        read = b""
        while part := slow.recv(256):
            read += part
        assert b"The answer is 6." in read
        assert b"[DONE]" in read


# Pages of other origins ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def solver(checkpoint):
    return a_solver(["", checkpoint.parent / "small.yaml"], checkpoint)


@pytest.fixture(scope="module")
def url(solver):
    with served(solver, key="s3cret", origins=check_origins([PAGE, "null"])) as url:
        yield url


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}


def test_a_page_may_ask_what_it_may_send_without_a_key(url):
    sent = {"Origin": PAGE, "Access-Control-Request-Private-Network": "true", **PREFLIGHT}
    answer = httpx.options(f"{url}/chat/completions", headers=sent)
    assert (answer.status_code, answer.text) == (204, "")
    told = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    assert told == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization,x-stainless-os",
        "access-control-max-age": "600",
        "access-control-allow-private-network": "true",
    }
    assert answer.headers["vary"] == "Origin"


def test_answers_streams_and_errors_may_be_read_by_the_page(url):
    body = {"model": "econ", "messages": [{"role": "user", "content": PROBLEMS[0].question}]}
    for key, more, status in (("s3cret", {}, 200), ("s3cret", {"stream": True}, 200), ("s3cret", {"n": 99}, 400), ("wrong", {}, 401)):  # fmt: skip # noqa: E501
        sent = {"Origin": PAGE, "Authorization": f"Bearer {key}"}
        answer = httpx.post(f"{url}/chat/completions", json={**body, **more}, headers=sent)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    "origin", ["http://localhost:3001", "https://localhost:3000", "http://evil.example", PAGE + ".evil"]
)
def test_other_pages_may_not(url, origin):
    answer = httpx.options(f"{url}/chat/completions", headers={"Origin": origin, **PREFLIGHT})
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers
    answer = httpx.get(f"{url}/models", headers={"Origin": origin, "Authorization": "Bearer s3cret"})
    assert "access-control-allow-origin" not in answer.headers


def test_without_the_option_no_page_may(solver):
    with served(solver) as url:
        answer = httpx.options(f"{url}/chat/completions", headers={"Origin": PAGE, **PREFLIGHT})
        assert answer.status_code == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin", ["localhost:3000", "http://localhost:3000/", "http://a/b", "http://me@host", "", "http://"]
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(ConfigError, match="is no origin: give scheme, host and port alone"):
        check_origins([origin])


def test_origins_are_spelled_as_browsers_do():
    assert check_origins(["HTTP://LocalHost:3000", "*", "http://[::1]:8000", "chrome-extension://abcdef"]) == {
        "http://localhost:3000", "*", "http://[::1]:8000", "chrome-extension://abcdef"
    }  # fmt: skip


def test_a_wrong_origin_ends_the_command_in_one_line(run, small):
    ran = run(econ, "serve", *small, "--cors-origin", "localhost:3000")
    assert ran.code == 2
    assert ran.err.startswith("error: --cors-origin 'localhost:3000' is no origin")
    assert ran.err.count("\n") == 1
