"""Latent Stereo: stereo pictures and stereo video as ComfyUI nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .nodes import NODES

WEB_DIRECTORY = "./web"


class LatentStereo(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> LatentStereo:
    return LatentStereo()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
