"""A raw row of a data set -> a question with its right answer. Pure: pictures are the loader's business.

Options come in columns, in a list, in a list that is stored as text, or inside the question.
"""

import ast
import io
import json
import math
import re
import string
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vsc_eval.errors import DataError
from vsc_eval.extract import INVALID, Kind, extract
from vsc_eval.taskfiles.schema import INLINE, OWN_PLACEHOLDERS, TaskFile, placeholders, several

IMAGE_SLOT = "<image>"
"""What lm-eval's task files write where a picture goes."""

# A letter with its mark, at the start of a line or after a blank: "A.", "A)", "A:", "(A)".
_MARK = re.compile(r"(?:^|(?<=[\s,;(:]))(?:\((?P<round>[A-Z])\)|(?P<plain>[A-Z])(?P<sign>[.):]))", re.M)
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


@dataclass(frozen=True)
class _RawRow:
    """A row of the data, with the name that errors give it."""

    file: TaskFile
    columns: Mapping[str, Any]
    id: str

    def __getitem__(self, name: str) -> Any:
        if name not in self.columns:
            raise self.error(f" has no column '{name}'", f"The columns are: {', '.join(map(str, self.columns))}.")
        return self.columns[name]

    def error(self, what: str, hint: str) -> DataError:
        """`what` goes on after the row's name."""
        return DataError(f"Row '{self.id}'{what}.", hint=hint)

    def labels(self, names: Iterable[str]) -> list[list[str]]:
        """[column, value as text] of each."""
        return [[name, _label(self[name])] for name in names]

    def joined(self, key: str, names: tuple[str, ...]) -> str:
        """Raises DataError if all cells are empty: rows that have nothing there have nothing in common."""
        labels = [label for _, label in self.labels(names)]
        if not any(labels):
            hint = "Name a column that every row fills, or leave such rows out with `filters`."
            raise self.error(f" has nothing in column '{' + '.join(names)}', which `{key}` names", hint)
        return " / ".join(labels)


def to_document(
    file: TaskFile, row: Mapping[str, Any], index: int, *, score_columns: tuple[str, ...] = ()
) -> dict[str, Any]:
    """lm-eval's document of a row; texts, numbers and lists only. `index` is its number in the data set, from 0.

    - `id`: unique within the task: `<name>/<value of fields.id, or the row's number>`;
    - `options`, `letters`: texts of the options and A, B, C ... for each; empty unless it is multiple choice;
    - `answer`: the right one as the extractor writes answers; `accepted`: all that count as right, it first;
    - `words`, `answers`: whose likelihood may be compared, and what they mean; `gold_index`: the right one's place;
    - `cluster`: the same picture is the same cluster in every task, other clusters are the task's;
    - `group`: value of `group.by`, or the number of the block of `group.every`; empty without groups;
    - `categories`, `fields`: [column, value] of `report_by`, and of `score_columns`, which the official metric needs.

    What the loader knows stays empty: picture, clusters by it, size of the group, `vsc_source`. Raises DataError,
    naming the row and the column, for what does not fit: a missing column, an empty question, a right answer that is
    not among the options, options that cannot be read.
    """
    raw = _RawRow(file, row, _row_id(file, row, index))
    question = _question(raw)
    kind = _kind(raw)
    options: dict[str, str] = {}
    if kind == "multiple_choice":
        options = dict(zip(string.ascii_uppercase, _options(raw, question), strict=False))
        if not options and file.without_options is not None:
            kind = file.without_options
        elif len(options) < 2:
            where = f"column '{file.fields.question}'" if file.fields.choices == INLINE else f"'{file.fields.choices}'"
            said = f" has {'1 option' if options else 'no options'} in {where}: {_short(question)}"
            free = "If such rows are answered freely, write `without_options: short_text`"
            raise raw.error(said, f"{free}; else drop them with `filters`.")
    accepted = (_letter(raw, options),) if kind == "multiple_choice" else _accepted(raw, kind)
    words, answers = (["Yes", "No"], ["yes", "no"]) if kind == "yes_no" else (list(options), list(options))
    group, columns = group_of(file, row, index), file.cluster_columns
    if columns:
        cluster = f"{file.name}/{raw.joined('cluster_by', columns)}", " and ".join(columns)
    elif file.cluster_by == "group":
        cluster = f"{file.name}/group {group}", "group"
    else:
        cluster = (raw.id, "item") if file.cluster_by == "row" else ("", "image")
    return {
        "id": raw.id,
        "kind": kind,
        "prompt": _prompt(raw, kind, question, options),
        "options": list(options.values()),
        "letters": list(options),
        "answer": accepted[0],
        "accepted": list(accepted),
        "words": words,
        "answers": answers,
        "gold_index": answers.index(accepted[0]) if accepted[0] in answers else -1,
        "categories": raw.labels(file.report_by),
        "cluster": cluster[0],
        "cluster_kind": cluster[1],
        "group": group or "",
        "group_size": 0,
        "fields": raw.labels(score_columns),
        "image": "",
        "image_size": [0, 0],
        "score": file.score or "",
        "vsc_source": "",
        "vsc_row": index,
    }


def group_of(file: TaskFile, row: Mapping[str, Any], index: int) -> str | None:
    """The group of a row, None if the file declares none. Raises DataError for a missing column."""
    if file.group.every is not None:
        return str(index // file.group.every)
    if file.group.by is None:
        return None
    return _RawRow(file, row, f"{file.name}/{index}").joined("group.by", several(file.group.by))


def _row_id(file: TaskFile, row: Mapping[str, Any], index: int) -> str:
    column, by_number = file.fields.id, f"{file.name}/{index}"
    if column is None:
        return by_number
    value = _RawRow(file, row, by_number)[column]
    if value is None or value == "":
        hint = "Leave `fields.id` out: rows are then named by their number."
        raise DataError(f"Row {index} of '{file.name}' has nothing in column '{column}'.", hint=hint)
    return f"{file.name}/{value}"


def _question(raw: _RawRow) -> str:
    column = raw.file.fields.question
    value = raw[column]
    if not isinstance(value, str) or not value.strip():
        hint = "Name the column with the text, or leave such rows out with `filters`."
        raise raw.error(f": column '{column}' holds {_short(value)} where a text is expected", hint)
    return _disarmed(value)


def _disarmed(text: str) -> str:
    """`text` without a picture's slot at either end; one inside becomes words, or lm-eval would want its picture."""
    text = text.strip()
    while text.startswith(IMAGE_SLOT) or text.endswith(IMAGE_SLOT):
        text = text.removeprefix(IMAGE_SLOT).removesuffix(IMAGE_SLOT).strip()
    return text.replace(IMAGE_SLOT, "< image>")


def _kind(raw: _RawRow) -> Kind:
    kind_by = raw.file.kind_by
    if kind_by is None:
        return raw.file.kind
    value = _label(raw[kind_by.column])
    if value not in kind_by.values:
        hint = f"Add it there; known: {', '.join(kind_by.values)}."
        raise raw.error(f": column '{kind_by.column}' holds '{value}', which `kind_by.values` does not name", hint)
    return kind_by.values[value]


def _options(raw: _RawRow, question: str) -> tuple[str, ...]:
    choices = raw.file.fields.choices
    assert choices is not None
    if choices == INLINE:
        return inline_options(question)
    where = " + ".join(several(choices))
    if isinstance(choices, tuple):
        found = [raw[name] for name in choices]
        # Of four columns, a question with three options leaves the last empty.
        while found and found[-1] in (None, ""):
            found.pop()
    else:
        listed = [] if raw[choices] is None else text_list(raw[choices])
        if listed is None:
            hint = "Name a column with a list, several columns as [A, B, C, D], or write `choices: inline`."
            raise raw.error(f": column '{where}' holds {_short(raw[where])}, which is no list of options", hint)
        found = listed
    options = tuple(_disarmed(_label(value)) for value in found)
    if len(options) > len(string.ascii_uppercase):
        hint = "Leave the row out with `filters`, or use kind: short_text."
        raise raw.error(f" has {len(options)} options in '{where}', more than there are letters", hint)
    if not all(options):
        raise raw.error(f" has an empty option in '{where}'", "Leave the row out with `filters`.")
    return options


def _accepted(raw: _RawRow, kind: Kind) -> tuple[str, ...]:
    """The right answers of a row that is no multiple choice, each once."""
    column = raw.file.fields.answer
    value, hint = raw[column], "Use another kind, or leave such rows out with `filters`."
    if kind == "yes_no":
        answer = _label(value).strip().rstrip(".").casefold()
        if answer not in (*_YES, *_NO):
            raise raw.error(f": column '{column}' holds {_short(value)}, which is neither yes nor no", hint)
        return ("yes" if answer in _YES else "no",)
    found = [_label(part).strip() for part in (value if isinstance(value, list | tuple) else [value])]
    if not any(found):
        raise raw.error(f" has no answer in column '{column}'", "Leave the row out with `filters`.")
    readable = [read for part in found if part and (read := extract(part, kind=kind)) != INVALID]
    # Two unreadable answers would otherwise be equal, and so right.
    if not readable:
        raise raw.error(f": the answer {_short(value)} in column '{column}' cannot be read as {kind}", hint)
    return tuple(dict.fromkeys(readable))


def _letter(raw: _RawRow, options: Mapping[str, str]) -> str:
    """The letter of the right one of `options`, which are texts by letter."""
    column, answer_format = raw.file.fields.answer, raw.file.answer_format
    value = raw[column]
    text = _label(value).strip()
    fitting: list[str] = []
    if answer_format in ("letter", "paren_letter"):
        bare = re.fullmatch(r"\(?([A-Za-z])[).:]?\.?", text)
        fitting = [letter for letter in options if bare and letter == bare[1].upper()]
    elif answer_format == "text":
        fitting = [letter for letter, option in options.items() if option.strip() == text]
        fitting = fitting or [letter for letter, o in options.items() if o.strip().casefold() == text.casefold()]
    elif re.fullmatch(r"\d+(\.0+)?", text):
        place = int(float(text)) - (answer_format == "index1")
        fitting = [letter for i, letter in enumerate(options) if i == place]
    if len(fitting) != 1:
        shown = ", ".join(f"{letter}. {_short(option)}" for letter, option in options.items())
        raise raw.error(
            f": the answer {_short(value)} in column '{column}' is, read as '{answer_format}', not exactly one of the"
            f" options {shown}",
            "Check `answer_format` (letter, paren_letter, index, index1 or text) and `fields.answer`.",
        )
    return fitting[0]


def _prompt(raw: _RawRow, kind: Kind, question: str, options: Mapping[str, str]) -> str:
    template = raw.file.template(kind)
    others = [name for name in placeholders(template, "prompt") if name not in OWN_PLACEHOLDERS]
    values = {
        **{name: _disarmed(label) for name, label in raw.labels(others)},
        "question": question,
        "options": "\n".join(f"{letter}. {option}" for letter, option in options.items()),
        "letters": ", ".join(options),
    }
    return template.format_map(values).strip()


def _label(value: Any) -> str:
    """A value as text: whole floats without their point, lists and dicts as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def inline_options(question: str) -> tuple[str, ...]:
    """The texts of the options A, B, C ... that the question names, in order; () if there are not at least two. They
    stand as "... A. red B. blue", one a line, or as "Options: A: yes, B: no".

    Letters are marked alike. Where they begin twice ("vitamin A. ..."), the last run from A is taken that counts on.
    """
    marks = list(_MARK.finditer(question))
    for first in reversed([place for place, mark in enumerate(marks) if _marked(mark) == "A"]):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            # After Z, no letter goes on.
            following = string.ascii_uppercase[len(run) : len(run) + 1]
            if mark["sign"] == run[0]["sign"] and _marked(mark) == following:
                run.append(mark)
        if len(run) >= 2:
            texts = [question[mark.end() : following.start()] for mark, following in pairwise(run)]
            # What follows the last option is an instruction, on a line of its own.
            texts.append(question[run[-1].end() :].strip(" ").split("\n", 1)[0])
            return tuple(text.strip().rstrip(",;").strip() for text in texts)
    return ()


def _marked(mark: re.Match[str]) -> str:
    return mark["round"] or mark["plain"]


def text_list(value: Any) -> list[Any] | None:
    """The list in `value`: a list itself, or one written as JSON or in Python's way; None if it is none. numpy prints
    an array without commas (`['a' 'b']`), which Python would read as one string; that is refused."""
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str) or not value.strip().startswith(("[", "(")):
        return None
    for read in (json.loads, _python_list):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | tuple):
            return list(found)
    return None


def _python_list(text: str) -> Any:
    found = ast.literal_eval(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = [token.type for token in tokens if token.type in (tokenize.STRING, tokenize.OP)]
    if (tokenize.STRING, tokenize.STRING) in pairwise(kinds):
        raise ValueError("strings without a comma between them")
    return found
