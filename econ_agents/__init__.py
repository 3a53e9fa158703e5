"""The learner: agents that play a PettingZoo team, refine towards an equilibrium and learn from it, on Tianshou 2.

The flow, a module a step: `joint_env` (a team seen as one), `networks` (beliefs, encoder, mixer, critics), `responses`
and `equilibrium` (rounds of refinement and the gap), `policy` (acts), `batches` and `losses` (what is learned from),
`algorithm` (one gradient step), `training` and `train` (a run), `trial` and `evaluate` (a test), `workers` (the same on
many processes). `testing` has games with known equilibria, tiny environments and checks.

It knows nothing of `econ_env`: any environment that keeps the small protocol in `joint_env` can be learned.
"""
