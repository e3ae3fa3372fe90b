"""ComfyUI's real frontend in a headless browser."""
