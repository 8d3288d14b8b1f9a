"""Derive `envs/alfworld/data/floorplans.json` from the floor plans that the `alfworld` wheel carries.

    pip install --no-deps alfworld && python benchmarks/derive_floorplans.py

The table ships with agentgym so that the base install needs no `alfworld`. Source: ALFWorld and ALFRED, MIT licence.
"""

import json
import os
import pathlib
import tempfile

os.environ.setdefault("ALFWORLD_DATA", tempfile.gettempdir())

import alfworld.gen
import alfworld.gen.constants as c

LAYOUTS = pathlib.Path(alfworld.gen.__file__).parent / "layouts"
OUT = pathlib.Path(__file__).parent.parent / "envs" / "alfworld" / "data" / "floorplans.json"
MOVABLE = set(c.MOVABLE_RECEPTACLES_SET)
RECEPTACLES = set(c.RECEPTACLES) - MOVABLE


def type_of(name: str) -> str:
    last = name.split("|")[-1]
    return last if last.endswith("Basin") else name.split("|")[0]


plans = {}
for first in (0, 200, 300, 400):
    for n in range(first + 1, first + 31):
        placed = []
        for name, (x, z, turn, horizon) in json.loads((LAYOUTS / f"FloorPlan{n}-openable.json").read_text()).items():
            if type_of(name) in ("Sink", "Bathtub"):
                name += "|" + type_of(name) + "Basin"
            if type_of(name) in RECEPTACLES:
                placed.append([name, round(x / 0.25), round(z / 0.25), round(turn / 90) % 4, int(horizon)])
        types = set(json.loads((LAYOUTS / f"FloorPlan{n}-objects.json").read_text()))
        have = {type_of(p[0]) for p in placed}
        plans[str(n)] = {
            "receptacles": sorted(placed),
            "missing": sorted((types & RECEPTACLES) - have),
            "objects": sorted((types - RECEPTACLES) & set(c.OBJECTS_SET)),
        }
pick = {o for rows in c.VAL_RECEPTACLE_OBJECTS.values() for o in rows if not o.endswith("Sliced")}
pick = (pick | {"TeddyBear", "ScrubBrush", "Towel", "Boots", "Footstool"}) - {"PaperTowel"} | {"PaperTowelRoll"}
table = {
    "source": "derived from the floor plans and constants of alfworld (MIT), which derive from ALFRED and AI2-THOR",
    "receptacle_types": sorted(RECEPTACLES),
    "object_types": sorted(set(c.OBJECTS_SET) - RECEPTACLES),
    "pickupable": sorted(pick),
    "vessels": sorted(MOVABLE),
    "openable": sorted(c.OPENABLE_CLASS_SET),
    "able": {k.lower(): sorted(v) for k, v in c.VAL_ACTION_OBJECTS.items()},
    "holds": {k: sorted(v) for k, v in sorted(c.VAL_RECEPTACLE_OBJECTS.items())},
    "rooms": {k: list(v) for k, v in c.GOALS_VALID.items()},
    "plans": plans,
}
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps(table, separators=(",", ":")) + "\n")
print(OUT.name, OUT.stat().st_size, "bytes", len(plans), "plans")
