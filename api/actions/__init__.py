"""Every write, one function per operation. They may flush; the web layer commits after the view has returned."""
