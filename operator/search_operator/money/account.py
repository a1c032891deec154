"""One index's money at a moment: the ledger as it is or shall be kept, and what follows from it."""

from dataclasses import dataclass

from search_operator.money.budget import Fleet, Outlook, Rest
from search_operator.money.ledger import Ledger
from search_operator.money.tariff import Tariff


@dataclass(frozen=True)
class Account:
    """`outlook` is the month as it runs now, `lowest` with the fewest encoders from now on.

    `due` says why the ledger must be written now; empty while the kept one says all. `beside` are the encoders of other
    releases than the active one, which `fleet` does not count.
    """

    ledger: Ledger
    tariff: Tariff
    rest: Rest
    fleet: Fleet
    outlook: Outlook
    lowest: Outlook
    due: str = ""
    beside: int = 0

    @property
    def allowed(self) -> int:
        """Encoders of all releases that may run; the declared maximum where nothing is clamped."""
        word = self.ledger.allowed
        return (self.fleet.maximum if word is None else word) + self.beside
