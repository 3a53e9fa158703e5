"""Compare learned teams with rules of thumb on recorded replies of real models, cross-validated over problems.

python benchmarks/recorded.py --bank gsm8k-small7 --out recorded.json
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, it would not find its package

    from benchmarks.on_record.command import recorded
    from econ_env.app.entry import main

    main(recorded)
