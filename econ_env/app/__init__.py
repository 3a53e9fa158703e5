"""The command line: joins the environment and the learner into runs that write results."""
