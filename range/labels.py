"""Labels by construction: who acts writes down, while acting, which flows that makes.

A row is a rule over time, protocol, addresses and ports. Two ways keep rows of different families
apart on one host: own source port blocks (our clients), or holding a destination (foreign tools, whose
source ports the kernel picks) so that no other family talks to it until the last packet is through.
"""

import contextlib
import csv
import threading
import time
from dataclasses import astuple, dataclass, fields
from itertools import groupby

GRACE_S = 1.5


@dataclass(frozen=True)
class Row:
    """One rule; the fields are the columns of the label file."""

    start: float
    end: float
    protocol: str
    source: str
    source_port: str
    destination: str
    destination_port: str
    label: str
    family: str
    note: str

    def who(self) -> tuple:
        return astuple(self)[2:7]

    def what(self) -> tuple:
        return astuple(self)[7:]


class Busy(Exception):
    """The destination is held by another family; try later."""


class Ledger:
    """The rows of one host, and which destinations are held by which family now."""

    def __init__(self):
        self.changed = threading.Condition()
        self.held = {}
        self.rows = []

    @contextlib.contextmanager
    def hold(self, who: tuple, what: tuple, patience_s: float):
        """Act under an exclusive rule: `who` is the five match columns, `what` label, family, note."""
        self.take(who, what, patience_s)
        start = time.time()
        try:
            yield
        finally:
            time.sleep(GRACE_S)
            self.add(Row(start, time.time(), *who, *what))
            with self.changed:
                self.held[who][1] -= 1
                if not self.held[who][1]:
                    del self.held[who]
                self.changed.notify_all()

    def take(self, who: tuple, what: tuple, patience_s: float) -> None:
        with self.changed:
            free = self.changed.wait_for(
                lambda: who not in self.held or self.held[who][0] == what, patience_s
            )
            if not free:
                raise Busy
            self.held.setdefault(who, [what, 0])[1] += 1

    def add(self, row: Row) -> None:
        with self.changed:
            self.rows.append(row)


def merge(rows: list) -> list:
    """Join rows of one kind that follow each other with no other kind between them."""
    merged = []
    for _, group in groupby(sorted(rows, key=lambda row: (row.who(), row.start)), key=Row.who):
        for row in group:
            last = merged[-1] if merged else None
            if last and last.who() == row.who() and last.what() == row.what():
                merged[-1] = Row(last.start, max(last.end, row.end), *row.who(), *row.what())
            else:
                merged.append(row)
    return sorted(merged, key=lambda row: row.start)


def write(rows: list, path) -> None:
    """Write the label file."""
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([field.name for field in fields(Row)])
        for row in rows:
            out.writerow([f"{row.start:.6f}", f"{row.end:.6f}", *row.who(), *row.what()])


def read(path) -> list:
    """Read a label file."""
    with open(path, newline="") as file:
        return [
            Row(float(row["start"]), float(row["end"]), *list(row.values())[2:])
            for row in csv.DictReader(file)
        ]
