"""What a task can be answered with and no picture: chance, the commonest answer, and the answers of like questions.

A model that beats none of these has not been shown to see anything.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NEIGHBOURS = 5
_MOST = 1000
"""Documents that the blind vote is taken of and by, evenly spaced: every one is compared with every other."""
_WORD = re.compile(r"\w+")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Baselines:
    """Shares of right answers among `n` documents; None where it is undefined."""

    n: int
    chance: float | None
    """Drawing an option at random; None if some documents offer none."""
    majority: float
    """Always the commonest gold answer."""
    majority_answer: str
    blind: float
    """The vote of the five questions with the most words in common, none of them of the same cluster; among 1,000
    documents at most."""


def baselines(documents: Sequence[Document]) -> Baselines:
    """The baselines of a task's documents."""
    answer, count = Counter(doc["answer"] for doc in documents).most_common(1)[0]
    n, sizes = len(documents), [len(doc["answers"]) for doc in documents]
    chance = sum(1 / size for size in sizes) / n if all(sizes) else None
    return Baselines(n, chance, count / n, answer, _blind(documents, answer))


def _blind(documents: Sequence[Document], fallback: str) -> float:
    documents = documents[:: -(-len(documents) // _MOST)]
    words = [frozenset(_WORD.findall(doc["prompt"].casefold())) for doc in documents]
    # The gold answers in words: what a letter stands for differs from question to question.
    meant = [
        str(doc["options"][doc["gold_index"]]).casefold() if doc["options"] else str(doc["answer"]) for doc in documents
    ]
    right = 0
    for place, doc in enumerate(documents):
        others = (i for i, other in enumerate(documents) if other["cluster"] != doc["cluster"])
        nearest = sorted(others, key=lambda i: (-_overlap(words[place], words[i]), i))[:_NEIGHBOURS]
        right += _voted(doc, Counter(meant[i] for i in nearest), fallback) == doc["answer"]
    return right / len(documents)


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 0.0


def _voted(doc: Document, votes: Counter[str], fallback: str) -> str:
    if not doc["options"]:
        return votes.most_common(1)[0][0] if votes else fallback
    scores = [votes[option.casefold()] for option in doc["options"]]
    if max(scores) > 0:
        return str(doc["letters"][scores.index(max(scores))])
    return fallback if fallback in doc["letters"] else str(doc["letters"][0])
