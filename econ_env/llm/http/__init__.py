"""Clients for model servers over HTTP, and the engine that runs a model in this process."""
