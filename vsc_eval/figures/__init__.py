"""What all figures of runs, studies and boards share: their style, how they are written, and where labels go.

Nothing here loads torch; matplotlib is loaded by what draws.
"""
