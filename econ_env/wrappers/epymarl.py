"""Says where the configuration file for EPyMARL is; as a program, it prints that for a command line.

python src/main.py --config=qmix --env-config="$(python -m econ_env.wrappers.epymarl)"

EPyMARL looks for `--env-config` in its own folder, with `.yaml` added, but takes any absolute path as it is.
"""

from __future__ import annotations

from importlib.resources import files


def config() -> str:
    """Path of the file `epymarl.yaml`, without its suffix, which EPyMARL adds."""
    return str(files("econ_env.wrappers") / "epymarl")


if __name__ == "__main__":
    print(config())
