"""Cassettes: a provider's raw bytes with their arrival times, recorded once and played at will.

`format.py` is the file, pure; `masking.py` keeps secrets out of it, pure; `recorder.py` writes it
while the model of `recording.py` answers; `playing.py` is the model that plays one through the
provider's own decoder; `faults.py` breaks what is played, pure; `wires.py` knows which decoder
reads what.
"""
