"""Trains a team and tests it, in one process or on the workers of a Ray cluster."""
