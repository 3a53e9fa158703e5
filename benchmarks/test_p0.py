"""Test a trained team on GSM8K problems, without and with BNE rounds.

python benchmarks/test_p0.py --model-dir models_exp1/final
"""

from pathlib import Path

from econ_env.app.commands import run_test_script

MODEL_DIR = "models_exp1/final"  # the default of --model-dir

if __name__ == "__main__":
    run_test_script(Path(__file__).with_name("config_p0.yaml"), __doc__, name="p0", model_dir=MODEL_DIR)
