"""The assessment: from the outcome of a campaign to a verdict per check, in a fixed order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .asked import unseen
from .failure import Shown
from .outcome import Outcome
from .report import Check
from .showing import with_circumstances

_NOT_TRIED = "no queue of this size was gone through"
_NOT_RUN = "no long run of this size was made or came to its end"
_HEALTH = {"no-crash": "never ended its process", "no-hang": "always came back"}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is judged: the outcome, what was shown of each failing check, and how the driver was compared.

    ``exact`` is byte for byte, ``oracle`` what it was compared with; ``sizes`` are the queue sizes that are
    reported whether they were tried or not. ``reasons`` say of checks that were perhaps not made why, where
    more is known than the usual; ``sanitized`` whether a build with sanitizers was run.
    """

    outcome: Outcome
    shown: Mapping[str, Shown]
    exact: bool
    oracle: str
    sizes: tuple[int, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    sanitized: bool = False

    def checks(self) -> tuple[Check, ...]:
        """Return every check with its verdict."""
        named = (
            *self._health(), self._sanitizers(), *self._agreements(), *self._wraps(), *self._conservation(),
            *self._seen(), self._whole(),
        )  # fmt: skip
        names = {check.name for check in named}
        # Such as a create that fails: there is no occasion on which it holds.
        rest = (self._failed(name, one) for name, one in self.shown.items() if name not in names)
        return (*named, *rest)

    @staticmethod
    def _failed(name: str, shown: Shown) -> Check:
        return Check(name, shown.failure.clause, "fail", with_circumstances(shown))

    def _health(self) -> Iterator[Check]:
        for name, praise in _HEALTH.items():
            shown = self.shown.get(name)
            if shown is not None:
                yield self._failed(name, shown)
            elif not self.outcome.operations:
                yield Check(name, "oracle: process", "not exercised", "nothing was run")
            else:
                detail = f"{praise} in {self.outcome.operations:,} ring operations"
                yield Check(name, "oracle: process", "pass", detail)

    def _sanitizers(self) -> Check:
        name, clause = "no-sanitizer-report", "oracle: sanitizer"
        if name in self.shown:
            return self._failed(name, self.shown[name])
        if not self.sanitized:
            return Check(name, clause, "not exercised", "no build with sanitizers was run")
        return Check(name, clause, "pass", "no sanitizer in the build that tells coverage reported anything")

    def _agreements(self) -> Iterator[Check]:
        how = "results and ring bytes" if self.exact else "tokens, chains, indices and kicks"
        failed = {
            one.failure.config.queue_size for one in self.shown.values() if one.failure.kind == "difference"
        }
        for size in sorted({*self.sizes, *self.outcome.compared, *failed}):
            name = f"agrees-with-reference/{size}"
            given_up = self.outcome.given_up.get(size)
            compared = self.outcome.compared.get(size, 0)
            if name in self.shown:
                yield self._failed(name, self.shown[name])
            elif not compared:
                yield Check(name, self.oracle, "not exercised", given_up or _NOT_TRIED)
            else:
                detail = f"{how} compared {compared:,} times"
                if given_up:
                    detail += f"; in some runs not to the end: {given_up}"
                yield Check(name, self.oracle, "pass", detail)

    def _wraps(self) -> Iterator[Check]:
        runs = {run.queue_size: run for run in self.outcome.runs}
        for size in self.sizes:
            name = f"indices-past-the-wrap/{size}"
            run = runs.get(size)
            if run is None:
                yield Check(name, "2.7.13.3/n1", "not exercised", _NOT_RUN)
                continue
            detail = f"{run.operations:,} operations, avail_idx moved on by {run.advanced:,}"
            yield Check(name, "2.7.13.3/n1", "pass" if run.passed_the_wrap else "not exercised", detail)

    def _conservation(self) -> Iterator[Check]:
        runs = {run.queue_size: run for run in self.outcome.runs}
        for size in self.sizes:
            name = f"everything-comes-back/{size}"
            run = runs.get(size)
            if run is None:
                yield Check(name, "2.7.14", "not exercised", _NOT_RUN)
            elif run.shortfall:
                yield Check(name, "2.7.14", "fail", run.shortfall)
            else:
                detail = f"{run.accepted:,} chains, then one of all {size} descriptors"
                yield Check(name, "2.7.14", "pass", detail)

    def _seen(self) -> Iterator[Check]:
        for name, tally in self.outcome.tallies.items():
            shown = self.shown.get(name)
            if shown is not None:
                yield self._failed(name, shown)
            elif tally.count and tally.level in ("fail", "warn"):
                yield Check(name, tally.clause, "fail" if tally.level == "fail" else "warn", tally.detail)
            elif not tally.checked:
                why = self.reasons.get(name) or unseen(name)
                yield Check(name, tally.clause, "not exercised", f"{tally.detail} Not seen: {why}.")
            else:
                yield Check(name, tally.clause, "pass", f"{tally.detail} Held {tally.checked:,} times.")

    def _whole(self) -> Check:
        """Say whether all was gone through that was meant to be."""
        name, clause = "campaign-complete", "oracle: campaign"
        if self.outcome.left_out:
            return Check(name, clause, "not exercised", "; ".join(self.outcome.left_out))
        detail = f"nothing that was meant to be tried was left out, {self.outcome.lives:,} queues"
        return Check(name, clause, "pass", detail)
