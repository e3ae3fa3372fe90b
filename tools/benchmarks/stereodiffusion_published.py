"""What StereoDiffusion publishes: Tables 1 and 2 and the reference scores of section 4.1 (Wang et al., CVPRW 2024).

A figure is the mean, then how far the best and the worst picture lie from it. LPIPS is better when small.
"""

from __future__ import annotations

BLANK, STRETCH, REFERENCE = "leave blank", "stretch", "left, inverted, null-text 7.5"
ALONE, RENEWED, ATTENTION = "shift alone", "+ renewals", "+ attention left_kv"
BOTH, EVERYTHING = "+ renewals, left_kv", "everything: + renewals, left_kv, Deblur"

_ANY = {  # of Table 2's first rows the text does not tell which disparity they have
    "middlebury": {
        BLANK: ("11.328 +2.483 -3.489", "0.315 +0.230 -0.154", "0.450 -0.089 +0.097"),
        STRETCH: ("14.842 +2.714 -2.753", "0.432 +0.265 -0.190", "0.285 -0.089 +0.112"),
        ALONE: ("16.352 +2.330 -2.139", "0.514 +0.241 -0.169", "0.378 -0.149 +0.181"),
        RENEWED: ("17.076 +4.450 -3.652", "0.549 +0.190 -0.174", "0.191 -0.073 +0.082"),
        ATTENTION: ("15.421 +2.849 -3.657", "0.478 +0.245 -0.199", "0.255 -0.123 +0.116"),
        REFERENCE: ("27.967", "0.847", "0.046"),
    },
    "kitti": {
        BLANK: ("12.980 +4.919 -3.831", "0.374 +0.286 -0.251", "0.313 -0.109 +0.222"),
        STRETCH: ("14.757 +5.375 -4.694", "0.429 +0.287 -0.271", "0.212 -0.100 +0.145"),
        ALONE: ("15.286 +5.389 -4.622", "0.476 +0.229 -0.346", "0.364 -0.206 +0.265"),
        RENEWED: ("15.305 +6.013 -4.772", "0.474 +0.228 -0.303", "0.230 -0.115 +0.114"),
        ATTENTION: ("15.868 +7.775 -5.068", "0.483 +0.240 -0.301", "0.212 -0.113 +0.114"),
        REFERENCE: ("25.615", "0.762", "0.072"),
    },
}
_TRUE = {
    "middlebury": {
        BOTH: ("15.456 +2.669 -3.313", "0.468 +0.252 -0.205", "0.231 -0.088 +0.096"),
        EVERYTHING: ("15.149 +2.769 -3.174", "0.444 +0.263 -0.231", "0.234 -0.097 +0.117"),
    },
    "kitti": {
        BOTH: ("15.679 +5.888 -5.487", "0.481 +0.245 -0.310", "0.205 -0.099 +0.135"),
        EVERYTHING: ("15.360 +5.787 -5.332", "0.461 +0.250 -0.306", "0.200 -0.092 +0.127"),
    },
}
_ESTIMATED = {
    "middlebury": {
        BOTH: ("16.980 +4.737 -3.818", "0.551 +0.208 -0.166", "0.173 -0.069 +0.074"),
        EVERYTHING: ("16.753 +4.815 -3.783", "0.540 +0.197 -0.169", "0.174 -0.071 +0.066"),
    },
    "kitti": {
        BOTH: ("15.589 +8.061 -5.016", "0.479 +0.241 -0.300", "0.209 -0.116 +0.114"),
        EVERYTHING: ("15.269 +7.923 -5.053", "0.458 +0.261 -0.295", "0.204 -0.111 +0.106"),
    },
}


def published(kind: str, estimated: bool) -> dict[str, tuple[str, str, str]]:
    """PSNR, SSIM and LPIPS by the row's name; empty for pictures that StereoDiffusion does not have."""
    return {**_ANY.get(kind, {}), **(_ESTIMATED if estimated else _TRUE).get(kind, {})}
