"""Test a trained team on SVAMP problems, without and with BNE rounds.

python benchmarks/test_svamp.py --model-dir models_exp1/final
"""

from pathlib import Path

from econ_env.app.commands import run_test_script

MODEL_DIR = "models_exp1/final"  # the default of --model-dir

if __name__ == "__main__":
    run_test_script(Path(__file__).with_name("config_svamp.yaml"), __doc__, name="svamp", model_dir=MODEL_DIR)
