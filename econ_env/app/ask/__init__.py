"""Asks a team questions: one on the command line (`econ solve`), or many over HTTP (`econ serve`)."""
