"""Who was asked, how far each was believed, and why the team stopped: by a policy made by hand, on replies known here.

Three executors answer one question with 7, 5 and 5. The policy asks the second, then the third, then nobody.
"""

import asyncio
import logging
from pathlib import Path

import pytest
import torch

from econ_agents.trial import Expected
from econ_env.app.ask import solver as solving
from econ_env.app.ask.account import account
from econ_env.app.ask.solve import print_solution
from econ_env.app.ask.solver import QuestionTeam, line_of
from econ_env.app.run_config import load_run_config
from econ_env.app.runs import display
from econ_env.config import RewardConfig
from econ_env.testing.faulty_server import FaultyServer
from tests.econ_env.app.ask.serving import a_client, ask, served

QUESTION = "What is 2 + 3?"
SPEAKS = ([-1, 1, -1], [-1, -1, 1], [-1, -1, -1])
WEIGHTS = ([0, 0, 0], [-1, 0.5, 0], [-1, 0.5, 1])
RIGHT = ([0.5, 0.5, 0.5], [0.5, 0.625, 0.5], [0.5, 0.75, 0.875])
GAIN = ([0.125, 0.25, 0.0625], [-0.03125, 0.5, 0.03125], [-0.015625, 0.5, 0.5])


class Script:
    """Plays and tells these lines, one a round, and then again from the first."""

    def __init__(self, spec, action):
        self.played = 0

    def propose(self, obs_BND):
        number = self.played % len(SPEAKS)
        self.played += 1
        return torch.tensor([list(zip(SPEAKS[number], WEIGHTS[number], strict=True))], dtype=torch.float32)

    def hear(self, obs_BND):
        number = self.played % len(SPEAKS)
        return torch.tensor([RIGHT[number]]), torch.tensor([GAIN[number]])


class Untold:
    """Everybody speaks at once; nothing is told."""

    def __init__(self, spec, action):
        pass

    def propose(self, obs_BND):
        return torch.ones(1, 3, 2)


@pytest.fixture
def make(small, monkeypatch):
    """Makes a team of three servers, each with an answer of its own, that plays a policy."""
    with FaultyServer(lambda body: "It is 7.") as seven, FaultyServer(lambda body: "It is 5.") as five:

        def made(policy=Script, **settings):
            monkeypatch.setattr(solving, "FixedControls", policy)
            given = {
                "llm.backend": seven.url,
                "llm.cache": False,
                "executor_model": [seven.url, five.url, five.url],
                "sampling.controls": ["speak", "weight"],
                "env_args.commitment": "weighted",
                "env_args.strategy": "off",
                "env_args.reply_format": "text",
                "reward.price": 0.02,
            }
            solver = QuestionTeam(load_run_config(Path(small[1]), (), given | settings), None)
            solver.prepare()
            return solver

        yield made


@pytest.fixture
def answer(make):
    """Asks a team, and gives its solution."""

    def answered(policy=Script, **settings):
        return asyncio.run(make(policy, **settings).solve(QUESTION, seed=0))

    return answered


@pytest.fixture
def shown(monkeypatch):
    """What `econ solve` prints of a solution on a terminal of some width."""

    def printed(done, width=80):
        monkeypatch.setattr(display.console, "_width", width)
        with display.console.capture() as caught:
            print_solution(display.console, done, load_run_config(None))
        return caught.get()

    return printed


def test_who_was_asked_and_what_each_was_believed(answer):
    done = answer()
    waves = done.account.waves
    assert [wave.asked for wave in waves] == [("executor_1",), ("executor_2",), ()]
    assert [wave.gains for wave in waves] == [(0.25,), (0.03125,), ()]
    assert [[one.answer for one in wave.after] for wave in waves] == [
        [None, "5", None], [None, "5", "5"], [None, "5", "5"]
    ]  # fmt: skip
    # What is believed after a round is what the policy told next, once it had heard the reply.
    assert [[one.right for one in wave.after] for wave in waves] == [
        [None, 0.625, None], [None, 0.75, 0.875], [None, 0.75, 0.875]
    ]  # fmt: skip
    assert [[one.weight for one in wave.after] for wave in waves] == [
        [None, 0.75, None], [None, 0.75, 1.0], [None, 0.75, 1.0]
    ]  # fmt: skip
    assert [[one.gain for one in wave.after] for wave in waves] == [
        [-0.03125, None, 0.03125], [-0.015625, None, None], [-0.015625, None, None]
    ]  # fmt: skip
    assert done.account.stopped == "no call was expected to gain more than its price, 0.02"
    assert done.answer.rounds[-1].commitment.answer == "5"
    assert done.answer.episode.usage.calls == 2


def test_it_is_printed_in_aligned_columns(answer, shown):
    text = shown(answer())
    rows = [line.rstrip() for line in text.splitlines()]
    assert "round 1: executor_1 asked, expected to gain +0.250" in rows
    assert "round 2: executor_2 asked, expected to gain +0.031" in rows
    assert "round 3: nobody asked" in rows
    start = rows.index("round 2: executor_2 asked, expected to gain +0.031")
    table = next(n for n in range(start, len(rows)) if "P(right)" in rows[n])
    lines = rows[table : table + 4]
    assert [line.split() for line in lines] == [
        ["answer", "P(right)", "weight", "would", "gain"],
        ["executor_0", "not", "asked", "-0.016"],
        ["executor_1", "5", "0.75", "0.75"],
        ["executor_2", "5", "0.88", "1.00"],
    ]
    assert len({len(line) for line in (lines[0], lines[1])}) == 1  # numbers stand under the end of their heading
    assert {line.index("0.75") + 4 for line in lines[2:3]} == {lines[0].index("P(right)") + 8}
    assert "speak=" not in text  # said in words instead
    assert "stopped  no call was expected to gain more than its price, 0.02" in text


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_loses_nothing(answer, shown, width):
    text = shown(answer(), width)
    rounds, _, _ = text.partition("cost  ")  # the terminal itself breaks the facts at the end
    assert max(map(len, rounds.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    words = text.split()
    for word in ("executor_0", "asked", "0.75", "0.88", "-0.016", "0.02"):
        assert word in words


def test_a_policy_that_tells_nothing_has_no_such_columns(answer, shown):
    done = answer(Untold)
    assert [wave.asked for wave in done.account.waves] == [("executor_0", "executor_1", "executor_2"), ()]
    assert {one.right for wave in done.account.waves for one in wave.after} == {None}
    assert done.account.stopped == "everyone has spoken"
    text = shown(done)
    assert "round 1: executor_0, executor_1, executor_2 asked\n" in text.replace(" \n", "\n")
    assert "P(right)" not in text
    assert "would gain" not in text


@pytest.mark.parametrize(
    ("reward", "price", "told"),
    [
        (RewardConfig(), 0.0, "no call was expected to gain anything"),
        (RewardConfig(price=0.5, price_per="kilotoken"), 0.5,
         "no call was expected to gain more than its price, 0.5 per 1,000 tokens"),
        (RewardConfig(price=0.01, price_max=0.3), 0.125,
         "no call was expected to gain more than its price, 0.125"),
    ],
)  # fmt: skip
def test_the_price_is_that_of_the_episode(answer, reward, price, told):
    done = answer()
    expected = [Expected(right, gain) for right, gain in zip(RIGHT, GAIN, strict=True)]
    given = (done.answer.rounds, ("speak", "weight"), "silence", expected, reward, price)
    assert account(*given).stopped == told


def test_other_reasons_to_stop(answer):
    rounds = answer().answer.rounds

    def why(reason="silence", controls=("speak", "weight"), last=GAIN[-1]):
        expected = [Expected(RIGHT[0], list(last))] * 3
        return account(rounds, controls, reason, expected, RewardConfig(), 0.0).stopped

    assert why(last=[0.5, 0.5, 0.5]) == "nobody spoke"  # it does not go by what it expects
    assert why(last=[None] * 3) == "nobody spoke"
    assert why("max_rounds") == "all rounds were used"
    assert why("commitment_repeated", ("temperature",)) == "two rounds gave the same answer"
    assert account(rounds, ("temperature",), "max_rounds", None, RewardConfig(), 0.0).waves == ()


def test_a_served_team_tells_it_and_logs_a_line(make, caplog):
    solver = make()
    with caplog.at_level(logging.INFO, "econ_env"), served(solver) as url, a_client(url) as client:
        told = ask(client, QUESTION).model_extra["econ"]
        logged = [record.message for record in caplog.records if record.message.startswith("answer ")]
    assert [round_["asked"] for round_ in told["rounds"]] == [["executor_1"], ["executor_2"], []]
    assert [round_["expected_gains"] for round_ in told["rounds"]] == [[0.25], [0.03125], []]
    last = told["rounds"][-1]["replies"]
    assert [reply["right"] for reply in last] == [None, 0.75, 0.875]
    assert [reply["gain"] for reply in last] == [-0.015625, None, None]
    assert [reply["weight"] for reply in last][1:] == [0.75, 1.0]
    assert told["stopped"] == "no call was expected to gain more than its price, 0.02"
    (line,) = logged
    assert line.startswith("answer 5; asked executor_1, executor_2; 2 calls, ")
    assert line.endswith(f" s; {told['stopped']}")
    assert QUESTION not in line


def test_a_line_of_a_team_that_asks_everybody_counts_rounds(make):
    solver = make(Untold, **{"sampling.controls": ["temperature", "repetition_penalty"]})
    done = asyncio.run(solver.solve(QUESTION, seed=0))
    assert line_of(done).startswith("answer 5; 1 round; 3 calls, ")
    assert done.account.waves == ()
