"""What user code finds in a worker, whichever engine has started it: displays, tqdm's bars, changed classes."""
