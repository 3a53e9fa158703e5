#!/usr/bin/env bash
# sacred 0.8.7: a setting on the command line must already be in the configuration, which EPyMARL's users meet, since its
# arguments of an environment are such settings: `with env_args.llm=x` is refused if the file has `env_args` without `llm`. A key
# that is there and null takes a text, a number or a list, but never a mapping: sacred reads it as new keys below, and refuses
# those. So a file needs every key that anybody may set, and mappings can only be set in the file.
# It also does not import beside setuptools 82, which has no pkg_resources, and does not ask for an older one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "sacred==0.8.7" "setuptools==82.0.0"
new=$("$work/venv/bin/python" -c "import sacred" 2>&1 | tail -1 || true)
echo "beside setuptools 82: $new"
[[ $new == *"No module named 'pkg_resources'"* ]]
"$work/venv/bin/pip" install -q "setuptools==80.9.0"
cat >"$work/run.py" <<'PY'
import sys

from sacred import Experiment, __version__

experiment = Experiment("keys", save_git_info=False)
experiment.add_config({"env_args": {"key": "a", "n_agents": None, "config": None}})


@experiment.main
def main(_config):
    print("sacred", __version__, "takes", sys.argv[2], "->", dict(_config["env_args"]))


experiment.run_commandline(sys.argv)
PY
take() { (cd "$work" && venv/bin/python run.py with "$1" 2>&1 || true) | grep -E "takes|ConfigAddedError|^ *env_args" | paste -sd' '; }
for setting in env_args.n_agents=4 "env_args.n_agents=[1, 2]" env_args.llm=simulated "env_args.config={'price': 1}"; do
  said=$(take "$setting")
  echo "$setting: $said"
  case $setting in
    *n_agents*) [[ $said == *"takes"* ]] ;;
    *llm*) [[ $said == *"ConfigAddedError"*"env_args.llm=simulated"* ]] ;;
    *config*) [[ $said == *"ConfigAddedError"*"env_args.config.price=1"* ]] ;;
  esac
done
echo "still so"
