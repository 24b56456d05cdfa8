"""Files of text: their last lines, and what is written for the user."""
