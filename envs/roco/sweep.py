"""Sweep Floor: Alice holds the dustpan beside a cube, Bob sweeps it in, Alice dumps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from math import dist
from typing import ClassVar, NamedTuple

from .rules import WAIT, Joint, Rules, words

BIN = "trash_bin"
_OTHERS = ("blue_cube_1", "pink_cube_1", "red_cube_1", "pink_cube_2", "blue_cube_2", "red_cube_2")


class Floor(NamedTuple):
    """Where Alice and Bob are (a cube, the bin, or "home"), and which cubes are in the dustpan and in the bin."""

    at: tuple[str, str] = ("home", "home")
    pan: frozenset[str] = frozenset()
    bin: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sweep(Rules[Floor]):
    """yellow, green: cubes that count. total: all cubes. table: which placement of them, for the distances."""

    yellow: int
    green: int
    total: int
    table: int = 0
    robots: ClassVar[tuple[str, ...]] = ("Alice", "Bob")

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The cubes that must end in the bin."""
        return (
            *(f"yellow_cube_{n}" for n in range(1, self.yellow + 1)),
            *(f"green_cube_{n}" for n in range(1, self.green + 1)),
        )

    @cached_property
    def cubes(self) -> tuple[str, ...]:
        """All cubes."""
        return (*self.targets, *_OTHERS[: self.total - self.yellow - self.green])

    def goal(self) -> str:
        """Return the task in words."""
        return f"sweep every yellow and green cube into the dustpan and dump them in {BIN}: {words(self.targets)}"

    def start(self) -> Floor:
        """Return the opening state."""
        return Floor()

    def options(self, state: Floor, i: int) -> tuple[str, ...]:
        """Return what a robot may do if the other plays along."""
        gone = state.pan | state.bin
        lying = [c for c in self.cubes if c not in gone]
        moves = [f"MOVE {c}" for c in lying]
        if i == 0:
            return (WAIT, *moves, *(["DUMP"] if state.pan else []))
        return (WAIT, *moves, *(f"SWEEP {c}" for c in lying if c == state.at[1]))

    def clash(self, state: Floor, joint: Joint) -> dict[int, str]:
        """Return why a SWEEP finds no dustpan."""
        if not joint[1].startswith("SWEEP"):
            return {}
        if joint[0] != WAIT:
            return {0: "Alice must WAIT while Bob SWEEPs"}
        if state.at[0] != state.at[1]:
            return {1: f"Bob cannot SWEEP {state.at[1]}: Alice's dustpan is not at it"}
        return {}

    def why(self, state: Floor, i: int, action: str) -> str:
        """Return why a robot may not do what is not among its options."""
        verb, _, cube = action.partition(" ")
        if action == "DUMP" and i == 0:
            return "Alice cannot DUMP: the dustpan is empty"
        if verb == "SWEEP" and i == 1 and cube in self.cubes:
            return f"Bob cannot SWEEP {cube}: he is not at it, or it is off the table"
        if verb == "MOVE":
            return f"{self.robots[i]} cannot MOVE to {cube or 'nothing'}: the target must be a cube on the table"
        return f"{self.robots[i]} has no such action; write {'DUMP' if i == 0 else 'SWEEP cube'}, MOVE cube or WAIT"

    def apply(self, state: Floor, joint: Joint) -> Floor:
        """Return the state after an accepted plan."""
        (alice, bob), pan, binned = state
        if joint[1].startswith("SWEEP"):
            pan |= {bob}
        if joint[0] == "DUMP":
            alice, pan, binned = BIN, frozenset(), binned | pan
        at = tuple(a.split()[1] if a.startswith("MOVE") else p for a, p in zip(joint, (alice, bob), strict=True))
        return Floor((at[0], at[1]), pan, binned)

    def score(self, state: Floor) -> float:
        """Return the share of targets in the bin; one in the dustpan counts half."""
        worth = {c: 1.0 for c in state.bin} | {c: 0.5 for c in state.pan}
        return sum(worth.get(c, 0.0) for c in self.targets) / len(self.targets)

    def describe(self, state: Floor, i: int, everything: bool) -> list[str]:
        """Return what a robot sees."""
        lines = [f"You are {self.robots[i]} with the {('dustpan', 'broom')[i]}, at {state.at[i]}."]
        if everything:
            lines.append(f"{self.robots[1 - i]} is at {state.at[1 - i]}.")
        for cube in self.cubes:
            if cube in state.pan:
                lines.append(f"{cube}: inside dustpan.")
            elif cube in state.bin:
                lines.append(f"{cube}: inside {BIN}.")
            else:
                lines.append(_lying(self.table, cube, state.at[i]))
        return lines

    def plan(self, state: Floor) -> list[Joint]:
        """Return a shortest plan: a move and a sweep for each target on the table, one dump at the end."""
        alice, bob = state.at
        lying = [c for c in self.targets if c not in state.pan | state.bin]
        lying.sort(key=lambda c: (c != alice) + (c != bob))
        steps: list[Joint] = []
        for cube in lying:
            if (alice, bob) != (cube, cube):
                steps.append(
                    (WAIT if alice == cube else f"MOVE {cube}", WAIT if bob == cube else f"MOVE {cube}"),
                )
            steps.append((WAIT, f"SWEEP {cube}"))
            alice = bob = cube
        if lying or set(self.targets) - state.bin:
            steps.append(("DUMP", WAIT))
        return steps


@lru_cache(maxsize=1024)
def _place(table: int, name: str) -> tuple[float, float]:
    if name in ("home", BIN):
        return (0.0, 0.0) if name == "home" else (1.5, 0.0)
    digest = sha256(f"{table} {name}".encode()).digest()
    return (digest[0] % 120 / 100, 0.2 + digest[1] % 80 / 100)


@lru_cache(maxsize=8192)
def _lying(table: int, cube: str, at: str) -> str:
    return f"{cube}: on the table, {dist(_place(table, at), _place(table, cube)):.2f} m from you."


LEVELS: dict[str, Sweep] = {
    "Y1_G1": Sweep(1, 1, 7), "Y1_G2": Sweep(1, 2, 7), "Y2_G2": Sweep(2, 2, 7), "Y2_G3": Sweep(2, 3, 9),
    "Y3_G3": Sweep(3, 3, 9),
}  # fmt: skip


def others() -> list[Sweep]:
    """Return the instances that are no published level: other numbers, other tables."""
    return [Sweep(y, g, n, t) for t in range(1, 8) for y in (1, 2, 3) for g in (1, 2, 3) for n in (7, 9)]
