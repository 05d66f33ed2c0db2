"""Tables: one model (`table`), a renderer a format (`console`, `markdown`, `latex`, `csv`, `html`), the words of
numbers (`numbers`), and what makes foreign text safe in each format (`clean`).

>>> found = table("t", "Accuracy", (Column("who", "model"), Column("acc", "accuracy, %", "percent")), [("m", 0.9)])
>>> print(to_markdown(found))
"""
