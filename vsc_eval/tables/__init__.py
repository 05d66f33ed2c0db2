"""Tables: one model (`table`), its renderers (`console`, `formats`), the words of numbers (`numbers`), and what
makes foreign text safe in each format (`clean`).

>>> found = table("t", "Accuracy", (Column("who", "model"), Column("acc", "accuracy, %", "percent")), [("m", 0.9)])
>>> print(to_markdown(found))
"""
