"""Compare learned teams with rules of thumb on recorded replies of real models, cross-validated over problems.

python benchmarks/recorded.py --bank gsm8k-small7 --out recorded.json
"""

from benchmarks.on_record.command import recorded
from econ_env.app.entry import main

if __name__ == "__main__":
    main(recorded)
