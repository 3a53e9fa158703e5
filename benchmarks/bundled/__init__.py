"""The generator of the bundled problem set; `load_problems("bundled")` reads what it wrote, without running it."""
