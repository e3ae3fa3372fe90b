"""The measuring rod: a diffusion model that a CPU trains, in a latent whose true right views are known."""
