"""Who has which address of the partner's network."""

from collections import OrderedDict

_MOST_CLIENTS = 64
_FIRST, _LAST = 2, 254


class Leases:
    """Addresses of one /24 network by MAC. Of too many clients the one not heard for longest is forgotten."""

    def __init__(self, own: bytes) -> None:
        self._network = own[:3]
        self._own = own[3]
        self._hosts: OrderedDict[bytes, int] = OrderedDict()
        self._declined: set[int] = set()

    def of(self, client: bytes, wish: bytes | None) -> bytes:
        """The client's address: what it has, else its wish if that is free, else the first that is."""
        host = self._hosts.pop(client, None)
        if host is None:
            host = self._choose(wish)
        self._hosts[client] = host
        if len(self._hosts) > _MOST_CLIENTS:
            self._hosts.popitem(last=False)
        return self._network + bytes((host,))

    def release(self, client: bytes) -> None:
        """The client doesn't want its address any more."""
        self._hosts.pop(client, None)

    def decline(self, client: bytes) -> None:
        """Somebody else has the client's address: nobody gets it again, until none other is left."""
        host = self._hosts.pop(client, None)
        if host is not None:
            self._declined.add(host)

    def _choose(self, wish: bytes | None) -> int:
        free = [host for host in range(_FIRST, _LAST + 1) if host not in {*self._hosts.values(), self._own}]
        unspoilt = [host for host in free if host not in self._declined]
        if not unspoilt:
            self._declined.clear()
            unspoilt = free
        if wish is not None and wish[:3] == self._network and wish[3] in unspoilt:
            return wish[3]
        return unspoilt[0]
