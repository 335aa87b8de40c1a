"""Device models, one a file, named by part number."""
