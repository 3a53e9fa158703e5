"""Measures what users run: the scripts that train and test a policy, over HTTP, against the ideal for their calls."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.lines import Line
from econ_env.testing import FaultyServer

ROOT = Path(__file__).parents[2]
LATENCY = 0.2
SIZES = ((1, 64), (64, 64), (64, 256), (512, 64), (512, 256))
"""Problems to test on, and calls allowed at once."""
EMBEDDERS = ("hash", "minilm")
"""All sizes are measured with the first, 64 problems with the second."""
ENVIRONMENTS = (1, 8, 32)
EPISODES = 32
TRAIN_CALLS = 256
TRAIN_ROUNDS = 1
"""As in `config_math.yaml`."""
AIMS = {("hash", 64, 256): 1.4, ("minilm", 64, 256): 2.0, ("hash", 64, 64): 1.2, ("hash", 512, 64): 1.2}
"""Largest ratios to the ideal that are wanted, by embedder, problems and calls."""


class Taken(NamedTuple):
    """Seconds of one run."""

    wall: float
    """From the first call to the last result, all methods together."""
    ideal: float
    """The least that the run's calls can take: their longest chain, or all of them at the allowed number at once."""


def job(against: str | None = None) -> list[Line]:
    """Train with few and many environments; test K = 1 and then K = 3, gaps measured and traces written.

    Args:
        against: A commit, tag or branch whose scripts do the same in turn; they use the packages installed here.

    Raises:
        CalledProcessError: A script failed, or git has no such revision; see `known`.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultyServer(_reply, latency=LATENCY) as server,
        _tree(against) as old,
    ):
        trees = [ROOT] if old is None else [ROOT, old]
        place = Path(folder)
        data = place / "problems.jsonl"
        data.write_text("".join(f"{_problem(number)}\n" for number in range(max(SIZES)[0] + EPISODES)))

        def runs(work: Any, *arguments: Any) -> list[Taken]:
            return [work(tree, place / str(number), server.url, data, *arguments) for number, tree in enumerate(trees)]

        lines = []
        for environments in ENVIRONMENTS:
            what = f"{EPISODES} training episodes, {environments} at once"
            lines += _lines(what, runs(_train, "hash", environments), None)
        for embedder in EMBEDDERS:
            if embedder != "hash":
                runs(_train, embedder, ENVIRONMENTS[-1])
            for problems, calls in SIZES if embedder == "hash" else [(64, 256)]:
                what = f"test of {problems} problems, {calls} calls at once, {embedder}"
                lines += _lines(what, runs(_test, embedder, problems, calls), AIMS.get((embedder, problems, calls)))
    return lines


def known(revision: str) -> bool:
    """Whether the repository has this revision."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _lines(what: str, taken: list[Taken], aim: float | None) -> list[Line]:
    ours, *others = taken
    lines = [Line("the job", what, ours.wall, "s", "the ideal", ours.ideal, "lower", aim)]
    return lines + [Line("the job", "the same", ours.wall, "s", "--against", other.wall, "lower") for other in others]


def _train(tree: Path, place: Path, url: str, data: Path, embedder: str, environments: int) -> Taken:
    """Train; the checkpoint of the last run with an embedder is the one that is tested."""
    logs = place / f"train_{embedder}_{environments}"
    _script(
        tree, "run_math_test.py", url, data, embedder, logs, "--model-dir", place / embedder,
        "--train-envs", environments, "--train-eps", EPISODES, "--test-eps", 1, "--concurrency", TRAIN_CALLS,
    )  # fmt: skip
    summary = json.loads((logs / "summary.json").read_text())["train"]
    chain = math.ceil(EPISODES / environments) * _depth(TRAIN_ROUNDS)
    return Taken(summary["seconds"], LATENCY * max(chain, summary["calls"] / TRAIN_CALLS))


def _test(tree: Path, place: Path, url: str, data: Path, embedder: str, problems: int, calls: int) -> Taken:
    """Test without and with rounds."""
    logs = place / f"test_{embedder}_{problems}_{calls}"
    _script(
        tree, "test_math.py", url, data, embedder, logs, "--model-dir", place / embedder / "final",
        "--test-eps", problems, "--concurrency", calls,
    )  # fmt: skip
    methods = json.loads((logs / "summary.json").read_text())["methods"].values()
    if any(method["failed"] for method in methods):
        raise RuntimeError(f"problems failed, so their time means nothing; see {logs}")
    ideal = sum(max(_depth(method["k"]) * LATENCY, method["calls"] * LATENCY / calls) for method in methods)
    return Taken(sum(method["wall_seconds"] for method in methods), ideal)


def _depth(rounds: int) -> int:
    """Sequential calls: the strategy, and in each round the replies and a commitment."""
    return 1 + 2 * rounds


def _script(tree: Path, name: str, url: str, data: Path, embedder: str, logs: Path, *arguments: object) -> None:
    fixed = ["--llm", url, "--no-cache", "--dataset", data, "--embedder", embedder, "--log-dir", logs]
    command = [sys.executable, tree / "benchmarks" / name, *fixed, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run(list(map(str, command)), env=environment, cwd=tree, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _tree(revision: str | None) -> Iterator[Path | None]:
    """The files of a revision, in a folder of their own."""
    if revision is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", folder, revision], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)


def _problem(number: int) -> str:
    question = f"Tom has {number} apples and buys {number % 7} more. How many apples does he have now?"
    return json.dumps({"question": question, "answer": str(number + number % 7)})


def _reply(body: Mapping[str, Any]) -> str:
    """A number drawn from the request, so that a team neither agrees nor repeats itself; JSON if requested."""
    request = json.dumps(body, sort_keys=True).encode()
    answer = str(int.from_bytes(hashlib.blake2b(request, digest_size=4).digest(), "big") % 997)
    reasoning = f"I add the numbers step by step and get {answer}."
    if "response_format" in body:
        return json.dumps({"reasoning": reasoning, "answer": answer})
    return f"{reasoning} The answer is {answer}."
