"""Training, in a process of its own: one job file in, a model and a log of every step out.

A process that trained gives all its memory back when it ends, so engine and training never share a GPU.
"""
