"""Makes a method from a policy: the policy chooses the controls, K rounds refine them, and the team answers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from econ_agents.equilibrium import Acts, EquilibriumConfig
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.trial import Trial
from econ_env.env import EconParallelEnv
from econ_env.methods import Answer
from econ_env.problems.load import ProblemSet
from econ_env.records import Problem


class TeamMethod:
    """Answers with the team and a policy: trained, fixed or random controls, with or without BNE rounds.

    Args:
        name: Name in files and tables.
        policy: Anything with `propose`; for several rounds also with `game`. Networks are put into eval mode.
        make_env: Makes an environment over the problems; called once per problem in flight.
        problems: The problems.
        rounds: K per decision; 1 means no refinement.
        config: Responses and stop rules.
        gaps: Whether best-response gaps are measured.

    Raises:
        ConfigError: The policy has no `game`, which several rounds need.
    """

    def __init__(
        self,
        name: str,
        policy: Acts,
        make_env: Callable[[], EconParallelEnv],
        problems: ProblemSet,
        *,
        rounds: int = 1,
        config: EquilibriumConfig | None = None,
        gaps: bool = True,
    ) -> None:
        if isinstance(policy, torch.nn.Module):
            policy.eval()
        self.name = name
        self.rounds = rounds
        self._make_env = make_env
        self._trial = Trial(policy, rounds=rounds, config=config, gaps=gaps)
        self._together = self._trial.together()
        self._index = {problem.id: index for index, problem in enumerate(problems)}
        self._idle: list[JointEnv] = []

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Run one episode.

        Raises:
            EconError: The models are unavailable, or the budget is spent.
        """
        env = self._idle.pop() if self._idle else as_joint(self._make_env())
        try:
            result = await self._trial.play(env, self._index[problem.id], seed, self._together)
            episode = env.parallel_env.episode
        finally:
            self._idle.append(env)
        gap = result.decisions[-1].gap_after
        return Answer(
            episode,
            stop_reasons=tuple(decision.stop_reason for decision in result.decisions),
            residuals=tuple(residual for decision in result.decisions for residual in decision.residuals),
            gap=None if gap is None else sum(gap),
            believed=None if result.believed is None else tuple(result.believed),
        )
