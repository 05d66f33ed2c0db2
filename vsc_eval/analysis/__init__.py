"""What answers mean: rows, drift, interactions, tests. Pure functions of a table of answers."""
