"""One entry: made from a run's folder, written in one canonical form, and read again."""
