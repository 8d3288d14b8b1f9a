"""Write docs/methods.md, which tells what runs where, from what methods need and worlds offer: `python benchmarks/methods.py`."""

from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "methods.md"


def page() -> str:
    """Return the page."""
    from agentgym.envs import listing
    from agentgym.training.methods import METHODS
    from agentgym.training.needs import table

    return f"""# What runs where

This page is written by `python benchmarks/methods.py`; do not edit it.

`agentgym train --env WORLD --method METHOD` runs with `tiny`, SmolLM2 or any other model where the table says yes, with the
defaults of both; elsewhere it says at once what is missing, by the letter below the table. A setting can change that:
`rise`, `score`, `grpo` and `gigpo` without demonstrations (`grpo.demonstrations=0`) need no oracle, `leap.teacher=self` and
`leap.teacher=model` no searching expert, `reasoning` has a searching expert for procedural problems only.

{table([row["id"] for row in listing()], METHODS)}
"""


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
