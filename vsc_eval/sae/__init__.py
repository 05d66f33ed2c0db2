"""Sparse autoencoders: model, layouts on disk, trainer, quality figures."""
