"""Another witness: an implementation of the recorded devices that answers the recorded accesses.

`protocol` puts exits into the words of QEMU's qtest protocol, `oracle` plays a trace to who speaks it, `stand_ins` lets
that answer where a replay would ask a model, and `witnesses` says who of three is alone with an answer.
"""
