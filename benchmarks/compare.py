"""Compare methods: one call, votes, debate, and the team with fixed, random or learned controls.

python benchmarks/compare.py --problems 100 --policy models_exp1/final --match tokens --log-dir logs_compare
"""

from econ_env.app.commands import compare_command
from econ_env.app.entry import main

if __name__ == "__main__":
    main(compare_command(None, __doc__))
