"""What is known of the user's classes and functions."""
