"""Runs the team: its prompts, and its rounds of replies and commitments."""

from econ_env.team.prompts import PLAN_HEADING, QUESTION_HEADING, REPLIES_HEADING, PromptSet, ReplyFormat
from econ_env.team.rounds import Team, split_team

__all__ = ["PLAN_HEADING", "QUESTION_HEADING", "REPLIES_HEADING", "PromptSet", "ReplyFormat", "Team", "split_team"]
