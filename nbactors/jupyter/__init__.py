"""What nbactors adds to a notebook: cell magics, and an output history that keeps no actor alive."""
