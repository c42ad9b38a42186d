"""Service levels: what is promised, how it is kept, and how fast its error budget is being spent."""
