"""What a run is made of: its folder, problems, results, what it shows, logs and says of itself."""
