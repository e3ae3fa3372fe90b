"""ComfyUI itself: as a server with a client, or loaded into this process."""
