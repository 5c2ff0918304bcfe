"""Habits: what honest hosts do all day, and the decoys that look like attacks but are not."""

from acts import decoys, devices, files, mail, names, web

HABITS = {act.__name__: act for module in (web, mail, files, names, devices, decoys) for act in module.ACTS}
