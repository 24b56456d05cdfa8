"""What a host tells of the calls that run: their frames, arguments and groups, for panels and `stack`."""
