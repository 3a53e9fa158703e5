"""Train a team on GSM8K problems and test it on other GSM8K problems, without and with BNE rounds.

python benchmarks/run_p0_test.py --train-eps 100 --test-eps 30 --log-dir logs_exp1 --model-dir models_exp1
"""

from pathlib import Path

from econ_env.app.commands import run_script

if __name__ == "__main__":
    run_script(Path(__file__).with_name("config_p0.yaml"), __doc__, train_episodes=100, test_episodes=30)
