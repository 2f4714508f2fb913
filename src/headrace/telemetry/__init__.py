"""Measurements of runs, for those who keep an eye on many of them.

`figures` turns a run's events into measurements, `prometheus` counts them for ``/metrics``,
`opentelemetry` makes spans and metrics of them. All are observers (`headrace.runs.observer`):
they see numbers and names, and what people and models say only where that is switched on.
"""
