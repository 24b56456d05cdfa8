"""`StoreRoom`: how much memory the object store of each process may take."""

from __future__ import annotations

from typing import NamedTuple

from nbactors.local.wire import messages

PIECES = 16
"""Room is lent in pieces of this part of the limit, so that few values need a question."""


class _Loan(NamedTuple):
    """The room of a process.

    Attributes:
        session: The session that it counts for; empty for none.
        size: Bytes.
    """

    session: bytes
    size: int


class Lack(NamedTuple):
    """Room that a process wants and the node does not have.

    Attributes:
        size: Bytes.
        shares: The processes that might give room back, and the bytes that each of them keeps in any case.
    """

    size: int
    shares: dict[bytes, int]


class StoreRoom:
    """One account over all processes of the node.

    The sum of all loans is at most the limit, and that of a session's loans at most the session's. There is one
    exception: a process may hold more when a node begins, since an earlier node has lent it.

    Args:
        limit: Bytes for the processes of all sessions. A session that has more for itself may take so much.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._loans: dict[bytes, _Loan] = {}

    def lend(self, process_id: bytes, session: bytes, session_limit: int, held: int, wanted: int) -> int:
        """Return how many bytes a process may have from now on, in all.

        Args:
            process_id: The process.
            session: The session that it counts for.
            session_limit: Bytes that the processes of this session may have together.
            held: Bytes that it has.
            wanted: Bytes that it wants to have. Less than before gives room back.
        """
        before = self._loans.get(process_id)
        size = wanted
        if before is None or wanted > before.size:
            piece = self._piece(session_limit)
            size = min(-(-wanted // piece) * piece, *self._room(process_id, session, session_limit))
        size = max(size, held, 0)
        if size:
            self._loans[process_id] = _Loan(session, size)
        else:
            self.gone(process_id)
        return size

    def _room(self, process_id: bytes, session: bytes, session_limit: int) -> tuple[int, int]:
        """Return how many bytes the node and the session have for a process, with those that it has already."""
        others = [loan for other, loan in self._loans.items() if other != process_id]
        return (
            max(self.limit, session_limit) - sum(loan.size for loan in others),
            session_limit - sum(loan.size for loan in others if loan.session == session),
        )

    def _piece(self, session_limit: int) -> int:
        return max(max(self.limit, session_limit) // PIECES, 1)

    def lacking(self, process_id: bytes, session: bytes, session_limit: int, wanted: int) -> Lack:
        """Return what is lacking for what a process wants.

        If its session has reached its limit, other sessions cannot help. As long as the process has less than an equal
        share, the holder of the largest loan is to spill what it uses beyond its own share. So a process that comes
        late finds memory, too.

        Args:
            process_id: The process.
            session: The session that it counts for.
            session_limit: Bytes that the processes of this session may have together.
            wanted: Bytes that the process wants to have in all.
        """
        wanted = min(wanted, session_limit)
        of_node, of_session = self._room(process_id, session, session_limit)
        missing = wanted - min(of_node, of_session)
        if missing <= 0:
            return Lack(0, {})
        loans = {
            other: loan.size
            for other, loan in self._loans.items()
            if other != process_id and loan.size and (wanted <= of_session or loan.session == session)
        }
        piece = self._piece(session_limit)
        shares = dict.fromkeys(loans, messages.KEEP_ALL)
        own = self._loans.get(process_id)
        equal = (session_limit if wanted > of_session else max(self.limit, session_limit)) // (len(loans) + 1)
        if loans and (own.size if own is not None else 0) < equal:
            shares[max(loans, key=loans.__getitem__)] = equal
        return Lack(-(-missing // piece) * piece, shares)

    def take_back(self, process_id: bytes, size: int) -> None:
        """Note that a process has given bytes back of what it has now."""
        loan = self._loans.get(process_id)
        if loan is not None:
            if size < loan.size:
                self._loans[process_id] = loan._replace(size=loan.size - size)
            else:
                self.gone(process_id)

    def gone(self, process_id: bytes) -> None:
        """Take back the room of a process that has ended."""
        self._loans.pop(process_id, None)

    @property
    def lent(self) -> int:
        """Bytes of all loans."""
        return sum(loan.size for loan in self._loans.values())
