"""What user code finds in a worker, whichever engine has started it: IPython's displays, and tqdm's bars."""
