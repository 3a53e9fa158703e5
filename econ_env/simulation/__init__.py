"""Simulates a team whose best controls are known exactly, for tests and benchmarks; it is not a language model."""
