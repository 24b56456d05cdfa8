"""What a front end, such as a notebook, tells the runtime and takes from it."""
