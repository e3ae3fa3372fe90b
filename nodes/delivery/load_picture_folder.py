"""LoadPictureFolder: the pictures of a folder, one after another, with their names."""

from __future__ import annotations

from comfy_api.latest import io

from .picture_folder import find_pictures, folder_names, load_pictures


class LoadPictureFolder(io.ComfyNode):
    """Give every picture and its name to the nodes behind, which run once for each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_LoadPictureFolder",
            display_name="Load Pictures from Folder",
            category="stereo",
            description="Loads the pictures of a folder with their names, so that results can be saved under the same.",
            search_aliases=["batch", "directory", "many photos", "load images", "file name"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folder_names(),
                    tooltip="A folder in ComfyUI's input folder. Press R after you have made a new one.",
                ),
                io.Int.Input(
                    "count",
                    default=1,
                    min=0,
                    max=10000,
                    tooltip="Pictures in one run; 0 takes all of them. Every one takes memory until the run ends.",
                ),
                io.Int.Input(
                    "part",
                    default=0,
                    min=0,
                    max=1000000,
                    control_after_generate=io.ControlAfterGenerate.increment,
                    tooltip="Which part of the folder, from 0, each of `count` pictures, in the order of their names.\n"
                    "Set to increment, and queue as many runs as there are parts.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", is_output_list=True, tooltip="The pictures, each in its own size."
                ),
                io.String.Output(
                    display_name="names",
                    is_output_list=True,
                    tooltip="For filename_prefix: the folder's and the picture's name, without its ending.",
                ),
                io.Mask.Output(
                    display_name="masks", is_output_list=True, tooltip="White where a picture is transparent."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str, count: int, part: int) -> list[tuple[str, int, float]]:
        """What makes the node run again: other files, or changed ones."""
        found = [(path, path.stat()) for path in find_pictures(folder, count, part)]
        return [(path.name, state.st_size, state.st_mtime) for path, state in found]

    @classmethod
    def execute(cls, folder: str, count: int, part: int) -> io.NodeOutput:
        paths = find_pictures(folder, count, part)
        images, masks = load_pictures(paths)
        return io.NodeOutput(images, [f"{folder}/{path.stem}" for path in paths], masks)
