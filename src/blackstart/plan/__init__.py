"""What a drill will do, worked out before anything is touched."""
