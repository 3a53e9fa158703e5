"""Train a team on MATH problems and test it on other MATH problems, without and with BNE rounds.

python benchmarks/run_math_test.py --train-eps 1 --test-eps 5 --log-dir logs_exp1 --model-dir models_exp1
"""

from pathlib import Path

from econ_env.app.commands import run_script

if __name__ == "__main__":
    run_script(Path(__file__).with_name("config_math.yaml"), __doc__, train_episodes=5, test_episodes=10)
