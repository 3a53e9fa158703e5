"""Train a team on SVAMP problems and test it on other SVAMP problems, without and with BNE rounds.

python benchmarks/run_svamp_test.py --train-eps 5 --test-eps 10 --log-dir logs_svamp --model-dir models_svamp
"""

from pathlib import Path

from econ_env.app.commands import run_script

if __name__ == "__main__":
    run_script(Path(__file__).with_name("config_svamp.yaml"), __doc__, train_episodes=5, test_episodes=10)
