"""Engines that some already have for many machines: they start docproc's own worker there, and do nothing else."""
