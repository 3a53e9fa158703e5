"""Answers problems with a team by several methods: one call, samples and votes, debate, and those that you add.

A method is a `Method`: a name, and a coroutine from a problem and a seed to an `Answer`. All share the
team's models, prompts and limits (`Team.replies`, `Team.vote`, `Team.commit`), and one judge, which the caller applies.
Some are first fitted to a record of the executors' replies to training problems (`ask_members`, `Fitted`).
"""

from econ_env.methods.bounds import Stops, any_right, best_stop
from econ_env.methods.debate import Debate
from econ_env.methods.fitting import Fitted, accuracies, cisc_temperature, order, vote_constant, vote_weights
from econ_env.methods.members import MemberRecord, MemberRow, ask_members
from econ_env.methods.method import Answer, Method, judged
from econ_env.methods.sampling import BestOfN, SelfConsistency, SingleCall, most_asks, tie_lots
from econ_env.methods.stopping import AdaptiveConsistency, BestFirst, EarlyStopping
from econ_env.methods.weighing import BestSingle, ConfidenceVote, WeightedVote
from econ_env.team.votes import vote

__all__ = [
    "AdaptiveConsistency", "Answer", "BestFirst", "BestOfN", "BestSingle", "ConfidenceVote", "Debate", "EarlyStopping",
    "Fitted", "MemberRecord", "MemberRow", "Method", "SelfConsistency", "SingleCall", "Stops", "WeightedVote",
    "accuracies", "any_right", "ask_members", "best_stop", "cisc_temperature", "judged", "most_asks", "order",
    "tie_lots", "vote", "vote_constant", "vote_weights",
]  # fmt: skip
