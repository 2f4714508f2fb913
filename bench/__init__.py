"""The bench: a replay server, a floor, Headrace and its peers, measured in one run."""
