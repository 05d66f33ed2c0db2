"""What a task file may say, and what is reported of its rows. `read.py` reads one and names lines in its errors;
`rows.py` applies it to a row."""

import json
import string
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from vsc_eval.extract import Kind
from vsc_eval.records import Record
from vsc_eval.specs import Spec

AnswerFormat = Literal["letter", "paren_letter", "index", "index1", "text"]
SourceFormat = Literal["auto", "hub", "parquet", "jsonl", "csv", "imagefolder", "arrow", "saved"]
Scalar = bool | int | float | str
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Column = Annotated[str, StringConstraints(min_length=1)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1)]


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a number is expected, not {str(value).lower()}; YAML reads yes, no, on and off so")
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(_no_bool)]
"""A number; `limit: yes` would otherwise be 1."""

_LEFT_OUT_SHOWN = 5

INLINE = "inline"
"""`fields.choices` of a question that holds its own options."""

SUFFIXES = ("choice", "paired", "choice_paired")
"""A task's variants have these after its name, so no name may end so."""

PROMPTS: dict[Kind, str] = {
    "multiple_choice": "{question}\n{options}\nAnswer with the letter of the correct option.",
    "yes_no": "{question}\nAnswer yes or no.",
    "number": "{question}\nAnswer with a number.",
    "short_text": "{question}\nAnswer with a single word or phrase.",
}
"""Templates of files that give none."""

INLINE_PROMPT = "{question}\nAnswer with the letter of the correct option."
"""For questions that hold their own options."""

OWN_PLACEHOLDERS = ("question", "options", "letters")
"""Names in a prompt that are no columns."""


class DatasetSource(Spec):
    """Where the rows are."""

    path: str = Field(min_length=1)
    """Hub id (`owner/name`), or a local file or folder; a relative one is looked for beside the task file first."""
    config: str | None = None
    """Configuration (subset) of a hub data set."""
    split: str = Field(default="test", min_length=1)
    """Split to take."""
    revision: str | None = None
    """Commit of a hub data set; without one its newest version is taken."""
    format: SourceFormat = "auto"
    """`auto`: a local path by what it holds, anything else from the hub. `saved`: of `Dataset.save_to_disk`."""
    data_files: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Files below `path`, with wildcards; all of them if absent."""


class Fields(Spec):
    """Which column holds what."""

    image: Column
    question: Column
    choices: Column | Columns | None = None
    """A column with a list (or one written as text), several columns, or `inline`: the question names its options."""
    answer: Column
    """A column with one right answer, or a list of accepted ones."""
    id: Column | None = None
    """Column that names a row; without it the row's number does."""
    other_images: tuple[Column, ...] = ()
    """Picture columns that are meant to be left out; any other one makes the file fail."""


class Group(Spec):
    """Rows that are scored together."""

    by: Column | Columns | None = None
    """Rows with equal values here form a group."""
    every: Annotated[int, Field(ge=2), BeforeValidator(_no_bool)] | None = None
    """So many consecutive rows form a group."""
    metric: Literal["all_correct"] = "all_correct"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.by is not None and self.every is not None:
            raise ValueError("'by' and 'every' are two ways to form groups")
        return self

    @property
    def is_declared(self) -> bool:
        return self.by is not None or self.every is not None


class KindBy(Spec):
    """The kind of each row, where a data set mixes kinds."""

    column: Column
    values: dict[str, Kind] = Field(min_length=1)
    """Value in the column -> kind."""


class PixelBudget(Spec):
    """Pictures are resized into this range before any model sees them, so that all backends get the same pixels."""

    min: Count | None = None
    max: Count | None = None
    """Width x height."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) is larger than max ({self.max})")
        return self


class TaskFile(Spec):
    """One data set as a task."""

    schema_version: Literal[1] = 1
    name: Name
    """The task is then `vsc_<name>` in lm-eval."""
    dataset: DatasetSource
    kind: Kind
    kind_by: KindBy | None = None
    """Overrides `kind` row by row."""
    without_options: Kind | None = None
    """Kind of rows of `kind: multiple_choice` that offer no options; without it such a row is an error."""
    fields: Fields
    answer_format: AnswerFormat = "letter"
    """How the answer of a multiple-choice row is written: B, (B), 1 (from 0), 2 (from 1), or the option's text."""
    prompt: str | dict[Kind, str] | None = None
    """Text of a question; {question}, {options}, {letters} and any {column} are filled in, {{ and }} are braces."""
    report_by: tuple[Column, ...] = ()
    """Columns whose values get a row each in the results."""
    cluster_by: Column | Columns = "image"
    """Rows that are not independent: `image` (the same picture), `group`, `row` (all are), or columns."""
    group: Group = Group()
    filters: dict[Column, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    """Column -> the value or values of rows to keep."""
    limit: Count | None = None
    """Only the first so many rows, less those of incomplete groups."""
    pixels: PixelBudget = PixelBudget()
    max_new_tokens: Count = 32
    score: str | None = None
    """Official metric of the data set; without one, answers are compared with the extractor's own rule."""
    hook: str | None = Field(default=None, pattern=r"^[\w./\-]+:[A-Za-z_]\w*$")
    """`module:function` or `file.py:function` (beside the task file): a row's columns -> the columns to use instead.
    For the shapes that nothing above describes."""
    version: Count = 1
    """Of the task, for lm-eval's result files: raise it when a change makes scores incomparable."""
    licence: str | None = None
    citation: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for suffix in SUFFIXES:
            if self.name.endswith(f"_{suffix}"):
                raise ValueError(f"name: '{self.name}' ends like a variant's name (_{suffix})")
        if "multiple_choice" in self.kinds and self.fields.choices is None:
            raise ValueError("fields.choices: the key is missing; a multiple-choice row needs its options")
        if "multiple_choice" not in self.kinds:
            for key, given in (("fields.choices", self.fields.choices), ("without_options", self.without_options)):
                if given is not None:
                    raise ValueError(f"{key}: kind '{self.kind}' has no options")
            if "answer_format" in self.model_fields_set:
                raise ValueError(f"answer_format: kind '{self.kind}' has no options; leave it out")
        if self.without_options == "multiple_choice":
            raise ValueError("without_options: rows without options cannot be multiple choice")
        for key, names in (("report_by", self.report_by), ("fields.choices", self.fields.choices)):
            if isinstance(names, tuple) and len(set(names)) < len(names):
                raise ValueError(f"{key}: a column is there twice")
        if self.cluster_by == "group" and not self.group.is_declared:
            raise ValueError("cluster_by: there is no group to cluster by")
        return self

    @model_validator(mode="after")
    def _prompts(self) -> Self:
        templates = {"": self.prompt} if isinstance(self.prompt, str) else dict(self.prompt or {})
        for kind, template in templates.items():
            place = f"prompt.{kind}" if kind else "prompt"
            names = placeholders(template, place)
            if "question" not in names:
                raise ValueError(f"{place}: {{question}} is missing")
            offers = kind == "multiple_choice" or (not kind and set(self.kinds) == {"multiple_choice"})
            if offers and self.fields.choices != INLINE and "options" not in names:
                raise ValueError(f"{place}: {{options}} is missing, so that nobody would see them")
        if strangers := sorted(set(templates) - {"", *self.kinds}):
            raise ValueError(f"prompt.{strangers[0]}: no row is of that kind")
        return self

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All kinds that rows may have, each once."""
        by_row = self.kind_by.values.values() if self.kind_by else ()
        return tuple(dict.fromkeys(filter(None, [self.kind, *by_row, self.without_options])))

    @property
    def has_choice_scoring(self) -> bool:
        """Whether every row can be answered by comparing the likelihood of its options."""
        return set(self.kinds) <= {"multiple_choice", "yes_no"}

    @property
    def cluster_columns(self) -> tuple[str, ...]:
        """The columns of `cluster_by`, if it names columns."""
        return () if self.cluster_by in ("image", "group", "row") else several(self.cluster_by)

    @property
    def task_name(self) -> str:
        """Its name in lm-eval."""
        return f"vsc_{self.name}"

    def template(self, kind: Kind) -> str:
        """The prompt template of rows of a kind."""
        if isinstance(self.prompt, str):
            return self.prompt
        if self.prompt and kind in self.prompt:
            return self.prompt[kind]
        if kind == "multiple_choice" and self.fields.choices == INLINE:
            return INLINE_PROMPT
        return PROMPTS[kind]


class LeftOut(Record):
    """A row that cannot be asked."""

    id: str
    reason: str


class DataReport(Record):
    """One task's rows. `n_rows` = `n_filtered_out` + `n_beyond_limit` + undecodable + incomplete + `n_items`."""

    task: str
    source: str
    """Path or hub id, with configuration, split and revision."""
    n_rows: int
    n_items: int
    n_filtered_out: int
    n_beyond_limit: int
    undecodable: tuple[LeftOut, ...] = ()
    """Rows whose picture cannot be decoded; they are not asked."""
    incomplete: tuple[LeftOut, ...] = ()
    """Rows of groups of which a row is missing."""

    def notes(self) -> list[str]:
        """Sentences about what was left out, for people."""
        found, bad, lone = [], self.undecodable, self.incomplete
        if bad:
            shown = "; ".join(f"{row.id}: {row.reason}" for row in bad[:_LEFT_OUT_SHOWN])
            more = f"; and {len(bad) - _LEFT_OUT_SHOWN} more" if len(bad) > _LEFT_OUT_SHOWN else ""
            found.append(
                f"{self.task}: {len(bad)} of {self.n_rows} rows have a picture that cannot be decoded and"
                f" were not asked ({shown}{more})."
            )
        if lone:
            shown = ", ".join(row.id for row in lone[:_LEFT_OUT_SHOWN])
            more = ", ..." if len(lone) > _LEFT_OUT_SHOWN else ""
            n_groups = len({row.reason for row in lone})
            found.append(
                f"{self.task}: {len(lone)} rows of {n_groups} incomplete groups were not asked ({shown}{more})."
            )
        return found


def several(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The columns that a key names that may hold one, several or none."""
    return (names,) if isinstance(names, str) else names or ()


def placeholders(template: str, place: str) -> tuple[str, ...]:
    """The names in braces of a prompt template. Raises ValueError, naming `place`, for anything but plain names."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{place}: {error}; write {{{{ or }}}} for a brace of the text") from error
    names = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not name or spec or conversion or not name.replace("_", "a").replace("-", "a").replace(" ", "a").isalnum():
            raise ValueError(f"{place}: '{{{name}}}' is no column; write {{{{ or }}}} for a brace of the text")
        names.append(name)
    return tuple(names)


def to_json_schema() -> str:
    """The text of tasks/schema.json, for editors that check YAML while it is written."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vsc-eval task file"}
    return json.dumps({**about, **TaskFile.model_json_schema()}, indent=2) + "\n"
