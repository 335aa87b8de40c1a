"""Running QEMU with the recorder plugin: its command line, its process, and what it says of its machine."""
