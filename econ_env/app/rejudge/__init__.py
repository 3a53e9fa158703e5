"""Judges the answers of a finished run again by the current rule, from the texts in its folder."""
