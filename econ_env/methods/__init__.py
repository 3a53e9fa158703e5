"""Answers problems with a team by several methods: one call, samples and votes, debate, and those that you add.

A method is a `Method`: a name, and a coroutine from a problem and a seed to an `Answer`. All share the
team's models, prompts and limits (`Team.replies`, `Team.vote`, `Team.commit`), and one judge, which the caller applies.
"""

from econ_env.methods.debate import Debate
from econ_env.methods.method import Answer, Method, judged
from econ_env.methods.sampling import BestOfN, SelfConsistency, SingleCall
from econ_env.team.votes import vote

__all__ = ["Answer", "BestOfN", "Debate", "Method", "SelfConsistency", "SingleCall", "judged", "vote"]
