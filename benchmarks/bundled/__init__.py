"""Generates the bundled problem set; `load_problems("bundled")` reads the generated file."""
