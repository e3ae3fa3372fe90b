"""Cross-view attention on the host's models: patching a model, evaluating it, and where each family attends."""
