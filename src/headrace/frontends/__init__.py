"""Floor 8: places where people are. Each one is a viewer of a run like any other."""
