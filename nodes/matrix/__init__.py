"""Score composition (Diffusion²): two models that sample one matrix of views and frames."""
