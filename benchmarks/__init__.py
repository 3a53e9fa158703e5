"""What measures the project: scripts of the main job, comparisons, speed, memory and learning."""
