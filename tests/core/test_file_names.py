"""A player must find in a suffix the tags of that suffix's format, and none in one that it has to show flat."""

from __future__ import annotations

import pytest

from stereo_core.file_names import VR180_SUFFIX, file_name, player_suffix
from stereo_core.formats import StereoFormat

FORMATS = list(StereoFormat)
# What players read, in any case; iw3's tags name the format, and the longest that is found decides.
IW3 = {
    "_full_sbs": StereoFormat.FULL_SBS,
    "_fullsbs": StereoFormat.FULL_SBS,
    "_lrf": StereoFormat.FULL_SBS,
    "_sbs": StereoFormat.FULL_SBS,
    "_3dhf": StereoFormat.FULL_SBS,
    "_lr": StereoFormat.HALF_SBS,
    "_3dh": StereoFormat.HALF_SBS,
    "_rlf": StereoFormat.CROSS_EYED,
    "_full_tb": StereoFormat.FULL_TB,
    "_fulltb": StereoFormat.FULL_TB,
    "_tbf": StereoFormat.FULL_TB,
    "_tb": StereoFormat.HALF_TB,
    "_3dv": StereoFormat.HALF_TB,
}
WORDS = [
    "lr",
    "rl",
    "sbs",
    "side",
    "tb",
    "bt",
    "ou",
    "top",
    "3d",
    "180",
    "360",
    "vr",
    "eac",
    "fish",
    "cross",
    "full",
    "half",
]
STEREO = {
    StereoFormat.FULL_SBS,
    StereoFormat.HALF_SBS,
    StereoFormat.CROSS_EYED,
    StereoFormat.FULL_TB,
    StereoFormat.HALF_TB,
}


def as_iw3_reads(name: str) -> StereoFormat | None:
    found = [tag for tag in IW3 if tag in name.lower()]
    return IW3[max(found, key=len)] if found else None


def test_no_two_formats_end_alike():
    assert len({player_suffix(form) for form in FORMATS} | {VR180_SUFFIX}) == len(FORMATS) + 1


@pytest.mark.parametrize("form", FORMATS)
def test_the_longest_tag_in_a_suffix_is_its_own(form: StereoFormat):
    assert as_iw3_reads(player_suffix(form)) == (form if form in STEREO else None)


def test_no_suffix_holds_a_shorter_one_of_another_kind():
    """_LR begins _LRF_Full_SBS, and the longest tag decides between them; else none is found within another."""
    suffixes = {form: player_suffix(form) for form in FORMATS}
    within = {(a, b) for a in FORMATS for b in FORMATS if a != b and suffixes[a].lower() in suffixes[b].lower()}
    longer = {
        (StereoFormat.HALF_SBS, StereoFormat.FULL_SBS),
        (StereoFormat.HALF_TB, StereoFormat.FULL_TB),
        *((StereoFormat.ANAGLYPH_DUBOIS, form) for form in FORMATS if "red-cyan_" in suffixes[form]),
    }
    assert within == longer


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in STEREO])
def test_what_is_shown_flat_holds_no_word_of_a_player(form: StereoFormat):
    assert [word for word in WORDS if word in player_suffix(form).lower()] == []


def test_the_tags_that_the_players_for_full_width_need_are_all_there():
    """SKYBOX and iw3 Full_SBS, Pigasus LRF, DeoVR SBS."""
    for tag in ("_LRF", "Full_SBS", "SBS"):
        assert tag in player_suffix(StereoFormat.FULL_SBS)


def test_vr180_says_what_part_of_the_sphere_and_how_it_is_packed():
    for tag in ("180x180", "3dh", "LR"):
        assert tag in VR180_SUFFIX.split("_")


@pytest.mark.parametrize(
    ("number", "suffix", "name"),
    [
        (7, "_LR", "beach_00007_LR.png"),
        (None, "_LR", "beach_LR.png"),
        (7, "", "beach_00007_.png"),
        (None, "", "beach.png"),
    ],
)
def test_the_suffix_ends_the_name(number: int | None, suffix: str, name: str):
    assert file_name("beach", number, suffix, "png") == name
