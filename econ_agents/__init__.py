"""The learner: trains a team of agents in a PettingZoo environment with equilibrium refinement, on Tianshou 2.

The steps by module: `joint_env` (the team as a single agent), `networks` (beliefs, encoder, mixer, critics),
`responses` and `equilibrium` (rounds of refinement and the gap), `policy` (chooses controls), `batches` and `losses`
(training data and losses), `algorithm` (one gradient step), `training` and `train` (a training run), `trial` and
`evaluate` (a test), `workers` (training and tests in many processes). `testing` has games with known equilibria, tiny
environments and checks. It does not import `econ_env`: any environment that follows the protocol in `joint_env` works.
"""
