"""Checkpoints and configurations of the published MCVD code, translated into ours."""
