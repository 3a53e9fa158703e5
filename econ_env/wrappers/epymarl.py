"""Prints where the configuration file for EPyMARL is, without its suffix: `python -m econ_env.wrappers.epymarl`."""

from econ_env.wrappers.tuples import epymarl_config

if __name__ == "__main__":
    print(epymarl_config())
