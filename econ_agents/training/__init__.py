"""What a run of training is made of: environments, collector, replay, early stopping, and what resumes from it."""
