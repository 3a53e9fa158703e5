"""Compares ways to answer on the same problems, at equal cost."""
