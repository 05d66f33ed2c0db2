"""A study's folder: study.yaml says which stages are finished, from which inputs, and what files they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsc_eval.errors import DataError
from vsc_eval.files import file_hash
from vsc_eval.sweeps.folder import RunFolder


@dataclass(frozen=True)
class StudyFolder:
    """An open folder; it is locked for this process while its RunFolder is."""

    base: RunFolder
    _hashes: dict[tuple[Path, int, int], str] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> Path:
        return self.base.path

    @property
    def store_path(self) -> Path:
        """The answer store of sweep and controls."""
        return self.base.store_path

    @property
    def _stages(self) -> dict[str, Any]:
        stages: dict[str, Any] = self.base.document.setdefault("stages", {})
        return stages

    def is_finished(self, stage: str, inputs: str) -> bool:
        """Whether the stage's files are there, as it wrote them, from inputs of that hash.

        Raises DataError for a file that has changed since.
        """
        record = self._stages.get(stage)
        if record is None or record["inputs"] != inputs:
            return False
        for name, digest in record["outputs"].items():
            file = self.path / name
            if not file.is_file():
                return False
            if self._hash(file) != digest:
                raise DataError(
                    f"{file} is damaged: it is not what the stage `{stage}` wrote.",
                    hint="Delete that file and give the same command again; the stage is then run again.",
                )
        return True

    def outputs(self, stage: str) -> dict[str, str]:
        """Hash of each file of a finished stage, by its path in the folder."""
        return dict(self._stages[stage]["outputs"])

    def discard(self, stage: str) -> bool:
        """Forget a stage whose files or inputs are not what they were, and delete what it wrote; False if there is
        nothing to forget. A later stage must never go on with files of two runs."""
        record = self._stages.get(stage)
        if record is None:
            return False
        for name in record["outputs"]:
            (self.path / name).unlink(missing_ok=True)
        del self._stages[stage]
        self.base.save()
        return True

    def finish(self, stage: str, inputs: str, files: Iterable[Path]) -> None:
        """Record the stage as finished with these files."""
        outputs = {file.relative_to(self.path).as_posix(): self._hash(file) for file in sorted(files)}
        self._stages[stage] = {"inputs": inputs, "outputs": outputs}
        self.base.save()

    def _hash(self, file: Path) -> str:
        """First 16 hex digits of `file_hash`, once for each state of a file: every stage looks at all it builds on."""
        status = file.stat()
        key = (file, status.st_mtime_ns, status.st_size)
        if key not in self._hashes:
            self._hashes[key] = file_hash(file)[:16]
        return self._hashes[key]

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the folder at once or not at all. Raises BackendError if that fails."""
        self.base.write_text(name, text)
