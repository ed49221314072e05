"""Pages, and the scripts that make parts of them."""
