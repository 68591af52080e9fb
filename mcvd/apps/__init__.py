"""What people open: the command line, the studio, the demo. Nothing imports them."""
