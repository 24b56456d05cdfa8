"""What calls print and display, under the cell that made them."""
