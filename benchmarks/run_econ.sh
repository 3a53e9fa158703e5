#!/usr/bin/env bash
# Train a team: ./run_econ.sh --api-key KEY --config config_paper.yaml --agents 3 --experiment-name my-test
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: run_econ.sh [OPTIONS] [-- MORE OPTIONS OF python -m econ_agents.train]

  --api-key KEY           key of the model server; other users can see it while
                          this script starts, so better set TOGETHER_API_KEY or
                          OPENAI_API_KEY, or use --api-key-file
  --api-key-file FILE     file that holds the key
  --config FILE           settings [config_p0.yaml beside this script]
  --agents N              number of executors
  --experiment-name NAME  logs go to logs_NAME, checkpoints to models_NAME
                          [econ]
  --train-eps N           problems to train on
  --seed N                seed of all random choices
  --llm WHERE             auto, local, together, simulated or a URL
  --dataset NAME          bundled, gsm8k, math, svamp, a hub id or a file
  --wandb [PROJECT]       also log to Weights & Biases [project NAME]
  --resume                continue the run with this name
  --help                  show this text
TEXT
}

fail() {
  echo "error: $1" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
config=$here/config_p0.yaml
name=econ
key=
llm=
wandb=
arguments=()

while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --resume) arguments+=("$1"); shift; continue ;;
    --wandb)
      wandb=yes
      if [[ $# -gt 1 && $2 != --* ]]; then wandb_project=$2; shift; fi
      shift; continue ;;
    --) shift; arguments+=("$@"); break ;;
    --api-key | --api-key-file | --config | --agents | --experiment-name | --train-eps | --seed | --llm | --dataset) ;;
    *) fail "unknown option $1; see --help; put options of the training command after --" ;;
  esac
  [[ $# -gt 1 ]] || fail "$1 needs a value"
  case $1 in
    --api-key) key=$2 ;;
    --api-key-file)
      [[ -r $2 ]] || fail "key file $2 can't be read"
      key=$(<"$2")
      [[ -n $key ]] || fail "key file $2 is empty" ;;
    --config) config=$2 ;;
    --agents) arguments+=(--n-agents "$2") ;;
    --experiment-name)
      [[ $2 =~ ^[A-Za-z0-9._-]+$ ]] || fail "--experiment-name takes letters, digits, dots, dashes, underscores"
      name=$2 ;;
    --llm) llm=$2; arguments+=("$1" "$2") ;;
    *) arguments+=("$1" "$2") ;;
  esac
  shift 2
done

# The key is passed on only in the environment: never as an argument, so no log contains it.
if [[ -n $key ]]; then
  export OPENAI_API_KEY=$key # for a URL, given by --llm, OPENAI_BASE_URL or the config file
  if [[ $llm == together || (-z ${llm#auto} && -z ${OPENAI_BASE_URL:-}) ]]; then
    export TOGETHER_API_KEY=$key # llm: auto chooses Together where this is set
  fi
fi
[[ -z $wandb ]] || arguments+=(--wandb "${wandb_project:-$name}")

python=${PYTHON:-python}
command -v "$python" >/dev/null || fail "$python was not found; activate the environment, or set PYTHON to its path"

# exec replaces this process, so a key in this script's arguments leaves the process list as soon as Python runs.
exec "$python" -m econ_agents.train --config "$config" \
  --log-dir "logs_$name" --model-dir "models_$name" "${arguments[@]}"
