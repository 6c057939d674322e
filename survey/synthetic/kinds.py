"""Every kind of thing that can be drawn: its class, its sizes, the layer it lies in and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from survey.synthetic import earthworks, mines, munitions, nature, rubbish
from survey.synthetic.sketch import Pad, Sketch

Layer = Literal["earth", "lying", "plant"]
Outline = Literal["ellipse", "box", "path"]


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    ``length_m``, ``width_m``, ``height_m`` are (least, greatest); a width of None follows the length by
    ``slenderness``. ``reach`` is how far the drawing goes beyond the plan size (1 = not at all), ``share`` how
    often a class takes this kind. With ``of_length`` the height is a share of the length, not metres.
    """

    name: str
    draw: Callable[[Pad, float, float, float], Sketch]
    length_m: tuple[float, float]
    width_m: tuple[float, float] | None
    height_m: tuple[float, float]
    layer: Layer = "lying"
    class_code: str | None = None
    share: float = 1.0
    reach: float = 1.15
    outline: Outline = "ellipse"
    slenderness: tuple[float, float] = (1.0, 1.0)
    of_length: bool = False


def _jitter(size_m: float, by: float = 0.05) -> tuple[float, float]:
    return size_m * (1 - by), size_m * (1 + by)


_HAZARDS = (
    Kind("at_disc", mines.mine_at, (0.29, 0.345), None, (0.06, 0.125), class_code="mine_at", reach=1.35),
    Kind("ap_disc", mines.mine_ap_round, (0.092, 0.126), None, (0.04, 0.06), class_code="mine_ap",
         share=0.8, reach=1.6),
    Kind("ap_box", mines.mine_ap_box, _jitter(0.195), _jitter(0.088), (0.045, 0.068), class_code="mine_ap",
         share=0.2, outline="box"),
    Kind("stake", mines.mine_stake, _jitter(0.063), None, _jitter(0.12), class_code="mine_ap_fragmentation",
         share=0.4, reach=5.5),
    Kind("bounding", mines.mine_bounding, _jitter(0.108), None, _jitter(0.17), class_code="mine_ap_fragmentation",
         share=0.6, reach=1.3),
    Kind("directional", mines.mine_directional, _jitter(0.226), _jitter(0.066), _jitter(0.155),
         class_code="mine_ap_directional", share=0.55, outline="box", reach=1.35),
    Kind("directional_large", mines.mine_directional, _jitter(0.345), _jitter(0.10), _jitter(0.20),
         class_code="mine_ap_directional", share=0.2, outline="box", reach=1.35),
    Kind("dish", mines.mine_dish, (0.225, 0.44), None, (0.08, 0.13), class_code="mine_ap_directional", share=0.25,
         reach=1.2, slenderness=(0.75, 1.0)),
    Kind("winged", mines.mine_winged, _jitter(0.119), _jitter(0.0625), _jitter(0.02), class_code="mine_scatterable",
         reach=1.1),
    Kind("finned", munitions.submunition_finned, _jitter(0.263), _jitter(0.065), _jitter(0.065),
         class_code="submunition", share=0.5, outline="box"),
    Kind("ball", munitions.submunition_ball, _jitter(0.062), None, _jitter(0.06), class_code="submunition", share=0.3),
    Kind("cup", munitions.submunition_cup, _jitter(0.082), _jitter(0.042), _jitter(0.042), class_code="submunition",
         share=0.2, outline="box", reach=3.2),
    Kind("rocket", munitions.rocket, (1.5, 2.9), _jitter(0.122), _jitter(0.122), class_code="rocket", share=0.75,
         outline="box"),
    Kind("rocket_large", munitions.rocket, (2.0, 5.0), _jitter(0.30), _jitter(0.30), class_code="rocket", share=0.1,
         outline="box"),
    Kind("rocket_upright", munitions.rocket_upright, _jitter(0.30), _jitter(0.122), (0.4, 1.4), class_code="rocket",
         share=0.15, reach=1.5),
    Kind("mortar_82", munitions.mortar_bomb, _jitter(0.33), _jitter(0.082), _jitter(0.082), class_code="mortar_bomb",
         share=0.5, outline="box"),
    Kind("mortar_120", munitions.mortar_bomb, _jitter(0.65), _jitter(0.12), _jitter(0.12), class_code="mortar_bomb",
         share=0.5, outline="box"),
    Kind("shell_122", munitions.shell, _jitter(0.56), _jitter(0.122), _jitter(0.122), class_code="shell", share=0.6,
         outline="box"),
    Kind("shell_152", munitions.shell, _jitter(0.70), _jitter(0.152), _jitter(0.152), class_code="shell", share=0.4,
         outline="box"),
    Kind("crater_small", earthworks.crater, (0.5, 1.5), None, (0.12, 0.26), "earth", "crater", 0.4, 3.2,
         of_length=True),
    Kind("crater_medium", earthworks.crater, (1.5, 4.0), None, (0.12, 0.26), "earth", "crater", 0.4, 3.0,
         of_length=True),
    Kind("crater_large", earthworks.crater, (5.0, 12.0), None, (0.12, 0.24), "earth", "crater", 0.19, 2.5,
         of_length=True),
    Kind("crater_huge", earthworks.crater, (12.0, 15.0), None, (0.12, 0.2), "earth", "crater", 0.01, 2.2,
         of_length=True),
    Kind("trench", earthworks.trench, (12.0, 40.0), (0.6, 1.5), (0.6, 1.5), "earth", "trench", outline="path"),
    Kind("dugout", earthworks.dugout, (3.0, 8.0), None, (0.6, 1.6), "earth", "dugout", 1.0, 1.5, "box", (0.6, 0.9)),
    Kind("revetment", earthworks.revetment, (8.0, 12.0), (5.0, 7.0), (1.0, 2.0), "earth", "revetment", 1.0, 1.3, "box"),
    Kind("fence", earthworks.fence, (12.0, 60.0), (0.3, 0.3), (0.6, 1.6), "lying", "fence", outline="path"),
    Kind("dug_spot", earthworks.dug_spot, (0.25, 0.6), None, (0.01, 0.05), "earth", "disturbed_ground", 1.0, 1.6,
         slenderness=(0.7, 1.0)),
    Kind("buried", earthworks.buried, (0.22, 0.6), None, (0.0, 0.02), "earth", "mine_buried", 1.0, 2.0,
         slenderness=(0.7, 1.0)),
)  # fmt: skip

_HARMLESS = (
    Kind("stone", nature.stone, (0.05, 0.45), None, (0.25, 0.55), reach=1.3, slenderness=(0.5, 1.0), of_length=True),
    Kind("round_stone", nature.round_stone, (0.09, 0.40), None, (0.2, 0.5), reach=1.1, slenderness=(0.75, 1.0),
         of_length=True),
    Kind("pebble_heap", nature.pebble_heap, (0.4, 2.0), None, (0.05, 0.3), reach=1.5, slenderness=(0.5, 1.0)),
    Kind("tuft", nature.tuft, (0.12, 0.7), None, (0.03, 0.16), "plant", reach=1.1),
    Kind("leafy_weed", nature.leafy_weed, (0.08, 0.5), None, (0.02, 0.2), "plant", reach=1.1),
    Kind("bush", nature.bush, (0.4, 2.2), None, (0.3, 1.2), "plant", reach=1.3, slenderness=(0.6, 1.0)),
    Kind("tree", nature.bush, (2.5, 6.0), None, (2.0, 5.0), "plant", reach=1.3, slenderness=(0.75, 1.0)),
    Kind("sunflower", nature.sunflower, (0.3, 0.55), (0.14, 0.32), (0.6, 1.2), "plant", reach=1.1),
    Kind("branch", nature.branch, (0.3, 1.6), (0.02, 0.07), (0.02, 0.08), reach=1.2),
    Kind("leaf", nature.leaf, (0.06, 0.16), (0.03, 0.09), (0.005, 0.03)),
    Kind("can", rubbish.can, (0.115, 0.17), (0.065, 0.10), (0.06, 0.12)),
    Kind("bottle", rubbish.bottle, (0.18, 0.34), (0.06, 0.10), (0.06, 0.10)),
    Kind("tyre", rubbish.tyre, (0.52, 0.75), None, (0.14, 0.24)),
    Kind("bucket", rubbish.bucket, (0.20, 0.36), None, (0.15, 0.35), reach=1.3),
    Kind("lid", rubbish.lid, (0.09, 0.40), None, (0.005, 0.04)),
    Kind("plate", rubbish.lid, (0.26, 0.37), None, (0.005, 0.03)),
    Kind("manhole", rubbish.manhole, (0.55, 0.85), None, (0.01, 0.02)),
    Kind("bag", rubbish.bag, (0.15, 0.7), None, (0.02, 0.12), reach=1.5, slenderness=(0.5, 1.0)),
    Kind("board", rubbish.board, (0.3, 2.4), (0.08, 0.5), (0.015, 0.05)),
    Kind("pipe", rubbish.pipe, (0.4, 3.5), (0.05, 0.25), (0.05, 0.2)),
    Kind("scrap", rubbish.scrap, (0.06, 0.4), None, (0.005, 0.06), slenderness=(0.4, 1.0)),
    Kind("dung", rubbish.dung, (0.15, 0.38), None, (0.01, 0.04), reach=1.3),
    Kind("post", rubbish.post, (0.07, 0.25), None, (0.6, 2.0)),
    Kind("bale", rubbish.bale, (1.2, 1.6), (1.0, 1.5), (1.0, 1.4)),
    Kind("car", rubbish.car, (3.8, 5.2), (1.7, 2.0), (1.4, 1.9)),
    Kind("molehill", earthworks.mound, (0.2, 0.6), None, (0.05, 0.18), "earth", reach=1.3, slenderness=(0.8, 1.0)),
    Kind("mound", earthworks.mound, (0.8, 3.5), None, (0.08, 0.3), "earth", reach=1.3, slenderness=(0.5, 1.0),
         of_length=True),
    Kind("burrow", earthworks.burrow, (0.25, 0.6), None, (0.04, 0.12), "earth", reach=2.4),
    Kind("hollow", earthworks.hollow, (0.6, 4.0), None, (0.04, 0.16), "earth", reach=1.5, slenderness=(0.4, 1.0),
         of_length=True),
    Kind("puddle", rubbish.puddle, (0.3, 2.5), None, (0.0, 0.0), "earth", reach=1.7, slenderness=(0.4, 1.0)),
    Kind("soil_stain", rubbish.soil_stain, (0.2, 1.2), None, (0.0, 0.0), "earth", reach=1.7, slenderness=(0.5, 1.0)),
    Kind("dark_spot", rubbish.dark_spot, (0.1, 0.6), None, (0.0, 0.0), "earth", reach=1.7, slenderness=(0.6, 1.0)),
    Kind("pale_spot", rubbish.pale_spot, (0.1, 0.6), None, (0.0, 0.0), "earth", reach=1.7, slenderness=(0.6, 1.0)),
    Kind("bare_patch", earthworks.bare_patch, (0.4, 4.0), None, (0.0, 0.02), "earth", reach=1.6,
         slenderness=(0.5, 1.0)),
    Kind("campfire", earthworks.campfire, (0.4, 1.4), None, (0.02, 0.06), "earth", reach=1.6),
    Kind("bank", earthworks.bank, (15.0, 40.0), (0.5, 1.8), (0.15, 0.7), "earth", outline="path"),
    Kind("trail", earthworks.trail, (15.0, 40.0), (0.2, 0.45), (0.01, 0.06), "earth", outline="path"),
    Kind("ditch", earthworks.ditch, (15.0, 40.0), (0.8, 2.5), (0.2, 0.7), "earth", outline="path"),
)  # fmt: skip

KINDS = MappingProxyType({kind.name: kind for kind in (*_HAZARDS, *_HARMLESS)})
"""Every kind by name."""


def kinds_of(class_code: str) -> tuple[Kind, ...]:
    """List the kinds a class is drawn as; empty where it cannot be drawn."""
    return tuple(kind for kind in _HAZARDS if kind.class_code == class_code)
