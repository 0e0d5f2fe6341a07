"""Every write: one function a verb. They may flush; the edge commits when the view has returned."""
