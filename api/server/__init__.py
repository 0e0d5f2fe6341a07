"""The processes: web server and worker."""
