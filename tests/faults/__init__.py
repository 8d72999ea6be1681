"""Faulty servers: each is the reference with one small change that breaks a rule."""

from tests.faults import (
    acc_accounts,
    acc_ends,
    acc_names,
    aftermath,
    counts,
    dat,
    dlv,
    frm_frames,
    frm_lengths,
    frm_stream,
    lim,
    lst,
    namesakes,
    nearly,
    snd_messages,
    snd_rules,
    states,
)
from tests.faults.registry import FAULTS, Fault

__all__ = [
    "FAULTS",
    "Fault",
    "acc_accounts",
    "acc_ends",
    "acc_names",
    "aftermath",
    "counts",
    "dat",
    "dlv",
    "frm_frames",
    "frm_lengths",
    "frm_stream",
    "lim",
    "lst",
    "namesakes",
    "nearly",
    "snd_messages",
    "snd_rules",
    "states",
]
