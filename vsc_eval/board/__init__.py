"""Boards of published results: entries as JSON in git, tables and a page made from them."""
