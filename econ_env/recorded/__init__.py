"""Recorded teams: real replies of models, kept in a Parquet file (a bank) and played back as a team's members."""

from econ_env.recorded.bank import Bank
from econ_env.recorded.columns import CONTROLS, WORKING
from econ_env.recorded.load import SHIPPED, given_bank, load_bank
from econ_env.recorded.manifest import Manifest
from econ_env.recorded.team import RecordedTeam
from econ_env.recorded.write import BankRow, write_bank

__all__ = [
    "CONTROLS",
    "SHIPPED",
    "WORKING",
    "Bank",
    "BankRow",
    "Manifest",
    "RecordedTeam",
    "given_bank",
    "load_bank",
    "write_bank",
]
