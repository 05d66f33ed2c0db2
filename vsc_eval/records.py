"""Outputs: frozen pydantic models with a schema version. What the engine, the store and the tables exchange."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vsc_eval.files import write_text

SCHEMA_VERSION = 1

R = TypeVar("R", bound="Record")


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def write_record(record: Record, path: Path) -> None:
    """Write `record` as JSON in one step. Raises BackendError if that fails."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def read_record(model: type[R], path: Path) -> R | None:
    """The record that `path` holds, None if there is none or it cannot be read: then it is made again."""
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


class Reading(Record):
    """What one model under one condition gave for one prompt. One row of the answer store."""

    text: str | None = None
    """Generated text without special tokens; None for the `loglikelihood` scoring."""
    token_ids: tuple[int, ...] = ()
    top_token_id: int | None = None
    """The most likely token of the whole vocabulary at the first answer position."""
    option_logprobs: tuple[float, ...] | None = None
    """Log-probability (nats, full-vocabulary softmax) of each option letter at the first answer position; None if the
    prompt has no options."""
    kl_options: float | None = None
    """KL(baseline || condition) over the renormalised option letters, nats; None for a prompt without options."""
    kl_vocab: float | None = None
    """KL(baseline || condition) over the vocabulary at the first answer token, nats."""
    shift_edited: float | None = None
    """||h' - h|| / ||h||, mean over edited prompt tokens, at the edited layer. None for the baseline."""
    shift_last: float | None = None
    """||h' - h|| / ||h|| at the last decoder layer's output, mean over the same tokens. None for the baseline."""
    n_edited_tokens: int = 0
    """Prompt tokens that the edit touched in this row."""
    n_fires: int = 0
    """How often the edit hook ran for this row: 1 for scoring, the number of forwards for generation with decode on."""
