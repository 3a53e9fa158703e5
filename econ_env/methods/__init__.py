"""Methods that answer a problem with a team: one call, samples and votes, debate, and whatever you plug in.

A method is anything of the shape `Method`: a name, and a coroutine from a problem and a seed to an `Answer`. All share
the team's models, prompts and limits (`Team.replies`, `Team.commit`), and one judge, which the caller applies.
"""

from econ_env.app.compare.match_units import Match, match_units
from econ_env.methods.debate import Debate
from econ_env.methods.method import Answer, Method, judged
from econ_env.methods.sampling import BestOfN, SelfConsistency, SingleCall
from econ_env.methods.voting import vote

__all__ = [
    "Answer",
    "BestOfN",
    "Debate",
    "Match",
    "Method",
    "SelfConsistency",
    "SingleCall",
    "judged",
    "match_units",
    "vote",
]
