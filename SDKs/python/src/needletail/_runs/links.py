"""The datasets and models of a run under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from needletail import datasets
from needletail._generated.tracking import (
    InputDataset,
    ModelRole,
    NewRunInput,
    NewRunModel,
    Tag,
)
from needletail._runs.files import RunFiles

if TYPE_CHECKING:
    from collections.abc import Mapping


class RunLinks(RunFiles):
    """What a run under way read and made."""

    def log_input(
        self,
        name: str,
        digest: str,
        *,
        context: str = "",
        source: str = "",
        source_type: str = "",
        schema: str = "",
        profile: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Links the run to a dataset that it read; waits until that is stored.

        Args:
            name: The dataset's name.
            digest: Of its content; what else is said of this name and digest is kept once in a
                project, and stays as it was said first.
            context: What the run uses it for, such as "training".
            source: Where it came from, such as a URI.
            source_type: Kind of the source, such as "s3".
            schema: Its columns, such as a JSON text.
            profile: What is known of its content, such as a JSON text of counts; at most 16 MiB.
            tags: Of the link, not of the dataset.

        Raises:
            CallError: The server refused it, or is away.
            RuntimeError: The run isn't created yet, because the server is away.
        """
        dataset = InputDataset(
            name=name,
            digest=digest,
            source=source,
            source_type=source_type,
            schema=schema,
            profile=profile,
        )
        pairs = tuple(Tag(key=key, value=value) for key, value in (tags or {}).items())
        one = NewRunInput(dataset=dataset, context=context, tags=pairs)
        datasets.log_inputs(self.client, self._created_id(), [one])

    def log_model(
        self,
        name: str,
        *,
        artifact_path: str = "",
        step: int = 0,
        role: Literal["input", "output"] = "output",
    ) -> None:
        """Links the run to a model that it made, or began from; waits until that is stored.

        Args:
            name: The model's name.
            artifact_path: Where it is among the run's artifacts.
            step: At which it was made or taken, such as that of a checkpoint.
            role: "output": the run made it; "input": it began from it.

        Raises:
            CallError: The server refused it, or is away.
            RuntimeError: The run isn't created yet, because the server is away.
        """
        model = NewRunModel(
            role=ModelRole[role.upper()], name=name, artifact_path=artifact_path, step=step
        )
        self.client.tracking.log_models(run_id=self._created_id(), models=[model])
