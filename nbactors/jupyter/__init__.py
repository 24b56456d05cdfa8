"""The parts for notebooks: magics, output under the cell that made the call, help, debugging, the stop button."""
