"""Make Sandwich: two robots, each with its side of the table, stack a recipe in order, one PUT a round."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, NamedTuple

from .rules import ROUNDS, WAIT, Joint, Rules, words

BOARD, TABLE = "cutting_board", "table"
SIDES = {  # kitchen -> Chad's (right) and Dave's (left) food
    "small": (
        ("tomato", "cucumber", "ham", "beef_patty"),
        ("bread_slice1", "bread_slice2", "bacon", "cheese"),
    ),
    "large": (
        ("beef_patty1", "cucumber2", "beef_patty2", "tomato2", "cucumber1"),
        ("bread_slice1", "bread_slice2", "bacon", "cheese", "tomato1", "ham"),
    ),
}  # fmt: skip


class Kitchen(NamedTuple):
    """How much of the recipe is stacked, and what Chad and Dave hold ("" for nothing); the rest is on its side."""

    stacked: int = 0
    hands: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Sandwich(Rules[Kitchen]):
    """A recipe, from the bottom, and the kitchen it is made in."""

    recipe: tuple[str, ...]
    kitchen: str = "small"
    robots: ClassVar[tuple[str, ...]] = ("Chad", "Dave")

    def goal(self) -> str:
        """Return the task in words."""
        return f"stack a sandwich on the {BOARD} in this order, from the bottom: {words(self.recipe)}"

    def start(self) -> Kitchen:
        """Return the opening state."""
        return Kitchen()

    def _below(self, state: Kitchen) -> str:
        return self.recipe[state.stacked - 1] if state.stacked else BOARD

    def _lying(self, state: Kitchen, i: int) -> list[str]:
        gone = {*self.recipe[: state.stacked], *state.hands}
        return [f for f in SIDES[self.kitchen][i] if f not in gone]

    def options(self, state: Kitchen, i: int) -> tuple[str, ...]:
        """Return what a robot may do if the other plays along."""
        held = state.hands[i]
        if not held:
            return (WAIT, *(f"PICK {f}" for f in self._lying(state, i)))
        fits = state.stacked < len(self.recipe) and self.recipe[state.stacked] == held
        return (WAIT, f"PUT {held} {TABLE}", *([f"PUT {held} {self._below(state)}"] if fits else []))

    def clash(self, state: Kitchen, joint: Joint) -> dict[int, str]:
        """Return whether both PUT."""
        both = all(a.startswith("PUT") for a in joint)
        return dict.fromkeys(range(2), "only one robot can PUT at a time") if both else {}

    def why(self, state: Kitchen, i: int, action: str) -> str:
        """Return why a robot may not do what is not among its options."""
        robot, (verb, food, onto) = self.robots[i], [*action.split(), "", "", ""][:3]
        if verb not in ("PICK", "PUT") or food not in SIDES[self.kitchen][0] + SIDES[self.kitchen][1]:
            return f"{robot} has no such action; write PICK food, PUT food target or WAIT"
        if verb == "PICK":
            if food in self.recipe[: state.stacked]:
                return f"{robot} cannot PICK {food}, it's already stacked"
            if state.hands[i]:
                return f"{robot} cannot PICK {food}, the gripper holds {state.hands[i]}"
            return f"{robot} cannot PICK {food}, it is not on {robot}'s side of the table"
        if state.hands[i] != food:
            return f"Object {food} cannot be PUT down, robot {robot} is not in contact with it"
        if food not in self.recipe:
            return f"{food} is not in the recipe, PUT it on the {TABLE}"
        below = self.recipe.index(food)
        want = self.recipe[below - 1] if below else BOARD
        if onto != want:
            return f"recipe says {food} must be PUT on {want}"
        return f"{want} is not on the {BOARD} yet"

    def apply(self, state: Kitchen, joint: Joint) -> Kitchen:
        """Return the state after an accepted plan."""
        stacked, hands = state.stacked, list(state.hands)
        for i, action in enumerate(joint):
            if action.startswith("PICK"):
                hands[i] = action.split()[1]
            elif action.startswith("PUT"):
                hands[i] = ""
                stacked += not action.endswith(f" {TABLE}")
        return Kitchen(stacked, (hands[0], hands[1]))

    def score(self, state: Kitchen) -> float:
        """Return the share of the recipe that is stacked."""
        return state.stacked / len(self.recipe)

    def describe(self, state: Kitchen, i: int, everything: bool) -> list[str]:
        """Return what a robot sees; the other's side and gripper only if it sees everything."""
        sides = ("right", "left")
        lines = [
            f"You are {self.robots[i]}, on the {sides[i]} side. Your gripper holds {state.hands[i] or 'nothing'}.",
            f"On your side: {words(self._lying(state, i))}.",
        ]
        if everything:
            lines.append(f"{self.robots[1 - i]}'s gripper holds {state.hands[1 - i] or 'nothing'}.")
            lines.append(f"On the {sides[1 - i]} side: {words(self._lying(state, 1 - i))}.")
        return [*lines, f"Stacked, from the bottom: {words(self.recipe[: state.stacked])}."]


LEVELS: dict[str, Sandwich] = {  # 1 and 2 are not published: ours follow the pattern of 3
    "recipe1": Sandwich(("bread_slice1", "tomato", "bread_slice2")),
    "recipe2": Sandwich(("bread_slice1", "tomato", "bacon", "cucumber", "bread_slice2")),
    "recipe3": Sandwich(("bread_slice1", "tomato", "bacon", "cucumber", "cheese", "ham", "bread_slice2")),
    "recipe4": Sandwich(
        (
            "bread_slice1", "tomato2", "cheese", "beef_patty2", "ham", "cucumber1", "bacon", "beef_patty1",
            "bread_slice2",
        ),
        "large",
    ),
}  # fmt: skip


def others() -> list[Sandwich]:
    """Return the instances that are no published level: the same lengths, other fillings, made in the usual limit."""
    found = []
    for n in range(40):
        for kitchen, lengths in (("small", (1, 3, 5)), ("large", (7,))):
            fillings = [f for side in SIDES[kitchen] for f in side if not f.startswith("bread")]
            fillings.sort(key=lambda f: sha256(f"{n} {f}".encode()).digest())
            found += [Sandwich(("bread_slice1", *fillings[:k], "bread_slice2"), kitchen) for k in lengths]
    return [s for s in dict.fromkeys(found) if s not in LEVELS.values() and len(s.plan(s.start())) <= ROUNDS]
