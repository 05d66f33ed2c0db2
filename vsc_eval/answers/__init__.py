"""What was answered: the tables of a run, the answer store, and the hashes that answers are kept under."""
