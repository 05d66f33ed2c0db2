"""One entry: built from a run's folder, written in one canonical form, read and migrated again."""
