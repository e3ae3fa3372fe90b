"""Cross-view attention on the host's models: putting it on, evaluating it, and where each family attends."""
