"""One small thing of each kind that can be added; each module run as a script checks its own."""
