"""The parts of a training run: environments, collector, replay buffer, early stopping, and the state to resume from."""
