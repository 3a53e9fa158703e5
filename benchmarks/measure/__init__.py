"""Single measurements, each a script: memory, workers, failures, the judge, large teams."""
