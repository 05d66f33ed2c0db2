"""What an entry is shared as: a model card's section and a figure."""
