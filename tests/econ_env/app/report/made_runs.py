"""Log folders like those of real runs, with replies made up by a seeded generator, for tests of the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from econ_env.answers import DEFAULT_RULE
from econ_env.app.runs.folder import TRAINING_FILE, RunFolder
from econ_env.app.runs.results import result_row, summarise
from econ_env.config import LLMConfig
from econ_env.episode import Decision, Episode
from econ_env.records import (
    Commitment,
    Judgement,
    Problem,
    PromptEmbedding,
    Reply,
    RewardParts,
    Round,
    Strategy,
    Usage,
)
from econ_env.traces import JsonLines

SENTENCES = (
    "First I find how many there are in all.",
    r"That gives \( {a} \times {b} = {c} \) of them.",
    r"So \[ \frac{{{c}}}{{{b}}} = {a} \] and nothing is left over.",
    "Then I take away what was sold before noon, which costs $3 each.",
    r"Let $x = {a}$ be the number of boxes; I check $x^2 + {b}$ as well.",
)
METHODS = (("single", 1, 1), ("no_bne", 3, 1), ("bne", 3, 3))
"""Name, executors and most rounds of each method."""


def make_run(
    folder: Path,
    problems: int = 12,
    *,
    seed: int = 0,
    methods: tuple[tuple[str, int, int], ...] = METHODS,
    sentences: int = 3,
    said: dict[str, str] | None = None,
    complete: bool = True,
    config: dict[str, Any] | None = None,
) -> Path:
    """Write a run's folder.

    Args:
        folder: Where.
        problems: How many; each is answered by every method.
        seed: Decides all texts and numbers.
        methods: Name, executors and most rounds of each.
        sentences: Of a reply.
        said: Texts in place of made-up ones, in the first problem: `question`, `strategy`, `reply`, `commitment`,
            `gold`, `kind`, `error`.
        complete: Whether the run came to its end.
        config: Settings to be noted.
    """
    settings = {"n_agents": 3, "seed": seed, "bne": {"max_iterations_infer": 3}, **(config or {})}
    about = {"config": settings, "seed": seed, "dataset": "made up"}
    about["versions"] = {"econ": "0", "answer_rule": "rule-v1", "prompts": "prompts-v1"}
    run = RunFolder(folder, about, resume=False)
    for number in range(problems):
        for method, agents, rounds in methods:
            rng = np.random.default_rng([seed, number, len(method)])
            boxes, eggs = (int(n) for n in np.random.default_rng([seed, number]).integers(2, 40, 2))
            played = int(rng.integers(1, rounds + 1))
            episode = _episode(rng, number, (boxes, eggs), agents, played, sentences, said or {})
            reasons = [] if agents == 1 else ["max_rounds" if played == rounds else "commitment_repeated"]
            row = result_row(
                method,
                episode,
                stop_reasons=reasons,
                residuals=[float(0.6 * rng.random() / (step + 1)) for step in range(played - 1)],
                gap=0.01 * float(rng.random()) if agents > 1 else None,
                seconds=float(rng.random()),
                rule=DEFAULT_RULE,
                seed=seed,
                llm=LLMConfig(price_prompt=0.1, price_completion=0.4),
            )
            run.add(row, {"seed": seed, "episode": asdict(episode)})
    own = {name: summarise([row for row in list(run.read_rows()) if row["method"] == name]) for name, *_ in methods}
    run.write_summary({"complete": complete, "methods": own, **about})
    run.close()
    return folder


def _episode(
    rng: np.random.Generator,
    number: int,
    eggs: tuple[int, int],
    agents: int,
    rounds: int,
    sentences: int,
    said: dict[str, str],
) -> Episode:
    special = said if number == 0 else {}
    a, b = eggs
    problem = Problem(
        special.get("question", f"A farm fills {a} boxes with {b} eggs each. How many eggs are there?"),
        special.get("gold", str(a * b)),
        f"made-{number}",
        "made up",
        special.get("kind", f"level{number % 3 + 1}"),
    )
    usage = Usage(1, 80, 40)
    plan = (
        Strategy(special.get("strategy", "Multiply the boxes by the eggs in each box."), usage) if agents > 1 else None
    )
    made = []
    for index in range(rounds):
        replies = tuple(_reply(rng, agent, a, b, sentences, special) for agent in range(agents))
        answer = replies[0].answer
        text = special.get("commitment", rf"Most find \boxed{{{answer}}}.") if agents > 1 else replies[0].text
        made.append(
            Round(index, plan or Strategy(None), replies, Commitment(text, answer, "coordinator", usage=usage), 0.2)
        )
    decision = Decision(made)
    right = made[-1].commitment.answer == problem.answer
    decision.judgement = Judgement("correct" if right else "wrong", made[-1].commitment.answer, "rule-v1")
    decision.replies_judged = tuple(
        Judgement("correct" if reply.answer == problem.answer else "wrong", reply.answer, "rule-v1")
        if reply.valid
        else None
        for reply in made[-1].replies
    )
    if agents > 1:
        parts = RewardParts(float(rng.random()), float(right), float(rng.random()), float(rng.random()))
        decision.rewards, decision.team_reward, decision.weights = (parts,) * agents, parts, (0.4, 0.4, 0.2)
    return Episode(problem, int(rng.integers(1 << 31)), plan, [decision])


def _reply(rng: np.random.Generator, agent: int, a: int, b: int, sentences: int, special: dict[str, str]) -> Reply:
    controls = PromptEmbedding(round(float(rng.uniform(0.1, 2.0)), 4), round(float(rng.uniform(1.0, 1.5)), 4))
    name = f"executor_{agent}"
    if "error" in special and agent == 1:
        return Reply(name, controls, None, None, "invalid", error=special["error"])
    answer = str(a * b if rng.random() < 0.6 else a * b + int(rng.integers(1, 9)))
    lines = [SENTENCES[int(rng.integers(len(SENTENCES)))].format(a=a, b=b, c=a * b) for _ in range(sentences)]
    text = special.get("reply", " ".join(lines) + rf" The answer is \(\boxed{{{answer}}}\).")
    return Reply(name, controls, text, answer, "valid", usage=Usage(1, 90, 30 * sentences))


def add_training(folder: Path, episodes: int = 60) -> None:
    """Add what training writes: a row per episode, and TensorBoard's event files."""
    from torch.utils.tensorboard import SummaryWriter

    with JsonLines(folder / TRAINING_FILE) as lines:
        for number in range(episodes):
            lines.append({"episode": number, "problem": "made", "reward": number / episodes, "verdict": "wrong"})
    writer = SummaryWriter(str(folder / "tensorboard"))
    for number in range(episodes // 4):
        writer.add_scalar("update/td_total", 1.0 / (number + 1), number)
        writer.add_scalar("update/smoothed_loss/td_total", 1.0, number)
        writer.add_scalar("training/returns_stat/mean", number / episodes, 4 * number)
    writer.close()
