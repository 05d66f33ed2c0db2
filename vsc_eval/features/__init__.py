"""The steps before a sweep: harvest activations, train an SAE, select feature sets."""
