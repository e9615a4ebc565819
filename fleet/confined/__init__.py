"""Code that nobody vouches for, run so that it can say something and do nothing: `run.run`.

`run` starts it and takes what it says; `inside` is what it is started through.
"""
