"""Speaks to servers over HTTP, and to the engine that runs a model in this process."""
