"""What the machine gives: files, processes, devices, time limits and random numbers; knows no video."""
