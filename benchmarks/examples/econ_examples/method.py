"""A baseline method: asks twice, and takes the first answer if they differ."""

from econ_env.methods import Answer
from econ_env.records import Problem, PromptEmbedding, Round, Strategy
from econ_env.team import Team
from econ_env.testing import check_method


class AskTwice:
    """Two samples at temperature 0.7."""

    name = "ask_twice"

    def __init__(self, team: Team) -> None:
        self.team = team

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Sample two replies at once and let them vote."""
        form = self.team.form(self.team.executors[0])
        prompts = [self.team.prompts.executor(problem.question, None, None, form)] * 2
        controls = [PromptEmbedding(0.7, 1.0)] * 2
        replies = await self.team.replies(problem, prompts, controls, index=0, seed=seed)
        return Answer.of(problem, seed, [Round(0, Strategy(None), replies, await self.team.vote(replies))])


if __name__ == "__main__":
    check_method(AskTwice)
