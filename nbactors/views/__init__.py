"""The texts and HTML that describe actors, calls and objects to users."""
