"""Which kicks were owed and which came, of one queue (VIRTIO 1.3 sections 2.7.10.1 and 2.7.13.4.1).

An epoch is the time between two SUPPRESS records: the words that say whether the device wants kicks stand
still.
"""

from .records import NOWHERE, QueueState
from .tallies import Check, Log, pair

_FORGIVEN = 3
"""Kicks in an epoch that may be late ones of the epoch before."""


def crosses(event: int, before: int, after: int) -> bool:
    """Whether the entry at the 16-bit index ``event`` is one of those from ``before`` up to ``after`` - 1."""
    return (event - before) & 0xFFFF < after - before


class KickLedger:
    """The kicks of one queue since it was started.

    ``base``: avail_idx of its first entry. ``published``, wherever it is given, says how many entries had
    been published since the start.
    """

    def __init__(self, log: Log, event_idx: bool, base: int, used_flags: int, avail_event: int) -> None:
        self._log = log
        self._event_idx = event_idx
        self._base = base
        self._lost = Check.KICK_LOST_EVENT if event_idx else Check.KICK_LOST_FLAGS
        self._heeded = Check.FLAGS_HEEDED if event_idx else Check.EVENT_WORD_HEEDED
        self._unwanted = Check.KICK_UNWANTED_EVENT if event_idx else Check.KICK_UNWANTED_FLAGS
        self.used_flags = used_flags
        self.avail_event = avail_event
        self.armed = 0
        self.obliged = self.credit = self.distracting = self.distracted_kick = False
        self.epoch_kicks = self.epoch_wanted = 0
        self.lost_at: int | None = None
        self.owed_since = 0

    def restore(self, state: QueueState) -> None:
        """Goes on from a checkpoint."""
        self.used_flags, self.avail_event = state.used_flags, state.avail_event
        self.armed = state.armed
        self.obliged, self.credit = state.obliged, state.credit
        self.distracting, self.distracted_kick = state.distracting, state.distracted_kick
        self.epoch_kicks, self.epoch_wanted = state.epoch_kicks, state.epoch_wanted
        self.lost_at = None if state.lost_at == NOWHERE else state.lost_at
        self.owed_since = state.owed_since

    def grown(self, before: int, published: int) -> None:
        """A SAMPLE showed entries ``before`` to ``published``, not counting that; both may be equal."""
        if published != before and self._wanted(before, published):
            self.epoch_wanted += 1
            if self.credit:
                self._came()
            elif not self.obliged:
                self.obliged = True
                self.owed_since = before
        self.credit = False

    def kicked(self, count: int, published: int) -> None:
        """A KICK record."""
        self.epoch_kicks += count
        if self.obliged:
            self.obliged = False
            self._came()
        else:
            self.credit = True
        if self.lost_at == published:
            self._log.withdraw(self._owed_code())
            self.lost_at = None

    def quiet(self, published: int) -> None:
        """A QUIET record: the patience is over."""
        if not self.obliged:
            return
        code, since = self._owed_code(), published - self.armed
        if code is self._heeded:
            word = self.used_flags if self._event_idx else self.avail_event
        else:
            word = pair(since, self.avail_event) if self._event_idx else since
        self._log.check(code, False, (self._base + published) & 0xFFFF, word)
        self.obliged = False
        self.lost_at = published

    def epoch_ends(self) -> None:
        """A SUPPRESS or QUEUE_STOP record: judges whether the epoch's kicks were wanted."""
        unwanted = self._event_idx or self.used_flags & 1
        if unwanted and self.epoch_kicks > 0:
            holds = self.epoch_kicks <= self.epoch_wanted + _FORGIVEN
            self._log.check(self._unwanted, holds, self.epoch_kicks, self.epoch_wanted)

    def epoch_begins(self, used_flags: int, avail_event: int, avail_idx: int, published: int) -> None:
        """The words of a SUPPRESS record are in force; ``published`` includes the growth that it brought."""
        self.used_flags, self.avail_event = used_flags, avail_event
        self.obliged = self.credit = self.distracted_kick = False
        self.epoch_kicks = self.epoch_wanted = 0
        self.lost_at = None
        self.armed = published
        self.distracting = used_flags & 1 != 0 if self._event_idx else avail_event != avail_idx

    def _wanted(self, before: int, published: int) -> bool:
        if not self._event_idx:
            return self.used_flags & 1 == 0
        return crosses(self.avail_event, self._base + before, self._base + published)

    def _came(self) -> None:
        """A kick that was owed came."""
        self._log.check(self._lost, True)
        if self.distracting:
            self._log.check(self._heeded, True)
            self.distracted_kick = True

    def _owed_code(self) -> Check:
        """What it is if no kick comes: one that was lost, or that the word without influence kept back."""
        return self._heeded if self.distracting and not self.distracted_kick else self._lost
