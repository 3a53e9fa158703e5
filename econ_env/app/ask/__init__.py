"""Asks the team: one question (`econ solve`), or an OpenAI-compatible endpoint (`econ serve`)."""
