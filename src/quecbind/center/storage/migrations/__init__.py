"""The schema's history, one file per step, and the step this code is written for."""

HEAD = "0012"
