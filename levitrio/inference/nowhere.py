"""What answers where the extra [ml] is not installed."""

from collections.abc import Sequence

import trio

from levitrio.inference.missing import Missing
from levitrio.inference.model_file import ModelFile
from levitrio.inference.port import Answers, Call, InferenceStatistics

NOT_INSTALLED = Missing(
    code="not_installed", reason="models need the extra: pip install 'levitrio[ml]'"
)


class NoModels:
    """The scorer where the extra [ml] is not installed: says so to each call."""

    def add(self, file: ModelFile) -> None:
        """Nothing can be loaded."""

    async def ask(self, calls: Sequence[Call]) -> Answers:
        """The same reason for each call."""
        return (NOT_INSTALLED,) * len(calls)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing to run; returns at once."""
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        """Nothing was asked."""
        return InferenceStatistics(workers=0, ready=0, calls=0, late=0, wrong=0, lost=0)
