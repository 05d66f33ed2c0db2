"""The report of a finished study, `report.md` with figures: a section or two a file, `write.py` has their order."""
