"""Score composition's machinery: two models over one matrix of views and frames."""
