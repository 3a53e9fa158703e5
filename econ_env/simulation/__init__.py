"""A simulated team whose best controls are known exactly, for tests and benchmarks; it is no language model."""
