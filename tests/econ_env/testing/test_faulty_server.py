"""The server that fails on purpose: it does what it says, and the same requests fail again in the same way."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter

import pytest
from click.testing import CliRunner

from econ_env.errors import ConfigError, LLMReplyError, LLMRequestError
from econ_env.testing.faulty_server import FaultyServer, main

FAST = {"html", "empty", "null", "too_many", "too_many_wait", "error_500", "error_503"}


def post(server, key=None, **changes):
    """Status, headers and body of one request."""
    body = {"model": "test-model", "messages": [{"role": "user", "content": "What is 2 + 2?"}], **changes}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    url = f"{server.url}/chat/completions"
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def content(answer):
    return json.loads(answer[2])["choices"][0]["message"]["content"]


def test_it_answers_like_any_openai_server():
    with FaultyServer(lambda body: f"You said {body['messages'][0]['content']}") as server:
        answer = post(server)
        assert content(answer) == "You said What is 2 + 2?"
        assert json.loads(answer[2])["usage"]["total_tokens"] == 6 + 8
        assert server.seen.calls == 1
        assert server.seen.bodies[0]["messages"][0]["content"] == "What is 2 + 2?"


def test_by_default_it_says_four_in_the_form_that_is_asked_for():
    with FaultyServer() as server:
        assert content(post(server)).endswith("The answer is 4.")
        assert json.loads(content(post(server, response_format={"type": "json_schema"})))["answer"] == "4"


@pytest.mark.parametrize("fault", sorted(FAST))
def test_faults_look_as_described(fault):
    with FaultyServer(script=[fault], retry_after="7") as server:
        status, headers, body = post(server)
        assert status == {"too_many": 429, "too_many_wait": 429, "error_500": 500, "error_503": 503}.get(fault, 200)
        assert headers.get("Retry-After") == ("7" if fault == "too_many_wait" else None)
        if fault == "html":
            assert body.startswith("<!DOCTYPE html>")
        elif fault in ("empty", "null"):
            assert content((status, headers, body)) == ("" if fault == "empty" else None)
        assert content(post(server))
        assert server.seen.faults == {fault: 1}


def test_broken_json_is_half_an_answer_and_cut_text_an_answer_with_half_a_text():
    with FaultyServer(lambda body: "abcdefgh", script=["broken_json", "cut_text"]) as server:
        with pytest.raises(json.JSONDecodeError):
            json.loads(post(server)[2])
        assert content(post(server)) == "abcd"


def test_a_dropped_connection_has_no_answer():
    with FaultyServer(script=["drop"]) as server:
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            post(server)
        assert content(post(server))


def test_a_slow_drip_is_the_whole_answer_byte_by_byte():
    with FaultyServer(script=["drip"], drip_seconds=0.1) as server:
        assert content(post(server))


def test_shares_are_kept_and_the_same_requests_fail_again():
    shares = {"error_500": 0.3, "empty": 0.2}

    def outcomes(seed):
        with FaultyServer(faults=shares, seed=seed) as server:
            return [(post(server, seed=number // 2)[0], dict(server.seen.faults)) for number in range(200)]

    first = outcomes(1)
    assert first == outcomes(1)
    assert first != outcomes(2)
    count = Counter(first[-1][1])
    assert abs(count["error_500"] - 60) < 4 * (200 * 0.3 * 0.7) ** 0.5
    assert abs(count["empty"] - 40) < 4 * (200 * 0.2 * 0.8) ** 0.5


def test_a_request_that_comes_again_is_drawn_anew():
    with FaultyServer(faults={"error_500": 0.5}) as server:
        assert {post(server)[0] for _ in range(40)} == {200, 500}


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "said"),
    [
        ({"key": "k"}, {}, 401, "Incorrect API key"),
        ({"key": "k"}, {"key": "k"}, 200, ""),
        ({}, {"model": "other"}, 404, "does not exist"),
        ({"refuses": ["seed"]}, {"seed": 1}, 400, "seed"),
        ({"context": 3}, {}, 400, "maximum context length"),
    ],
)
def test_what_it_refuses(arguments, changes, status, said):
    with FaultyServer(**arguments) as server:
        answer = post(server, **changes)
    assert answer[0] == status
    assert said in answer[2]


@pytest.mark.parametrize(("error", "status"), [(LLMRequestError("bad"), 400), (LLMReplyError("bad"), 500)])
def test_errors_of_the_reply_become_statuses(error, status):
    def fail(body):
        raise error

    with FaultyServer(fail) as server:
        assert post(server)[0] == status


def test_it_keeps_its_port_and_may_be_stopped_twice():
    server = FaultyServer()
    server.start()
    url = server.url
    server.stop()
    server.stop()
    server.start()
    assert server.url == url
    assert content(post(server))
    server.stop()


@pytest.mark.parametrize("bad", [{"error_501": 0.1}, {"hang": 0.6, "drop": 0.6}, {"hang": -0.1}])
def test_shares_that_can_not_be_are_refused(bad):
    with pytest.raises(ConfigError, match="shares that sum up to 1 at most, of: too_many"):
        FaultyServer(faults=bad)


def test_from_a_shell():
    with subprocess.Popen(
        [sys.executable, "-m", "econ_env.testing.faulty_server", "--fault", "error_500=1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"{url}/chat/completions", data=b'{"model": "test-model", "messages": []}')
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize("option", ["error_501=1", "error_500", "error_500=much", "hang=2"])
def test_a_shell_gets_one_clear_line(option):
    result = CliRunner().invoke(main, ["--fault", option])
    assert result.exit_code == 2
    assert "Error:" in result.output
    assert "Traceback" not in result.output


def test_it_tells_how_long_calls_took_and_counts_anew():
    def seen(method):
        asked = urllib.request.Request(server.url.removesuffix("/v1") + "/seen", method=method)
        with urllib.request.urlopen(asked, timeout=10) as response:
            return json.loads(response.read())

    with FaultyServer(latency=0.05) as server:
        post(server)
        post(server)
        first = seen("GET")
        assert first["calls"] == 2
        assert first["seconds"] >= 0.1
        assert seen("DELETE") == first
        assert seen("GET") == {"calls": 0, "most_in_flight": 0, "seconds": 0.0}
        post(server)
        assert seen("GET")["calls"] == 1
        assert server.seen.in_flight == 0
