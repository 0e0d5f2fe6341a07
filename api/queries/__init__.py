"""Every read, as selects: none of them is run here but by `Query`."""
