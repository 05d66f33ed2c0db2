"""What runs a model: the protocol of a backend, and one folder for each."""
