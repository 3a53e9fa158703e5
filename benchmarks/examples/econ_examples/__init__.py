"""One small example of each kind of extension; run a module as a script to check its example."""
