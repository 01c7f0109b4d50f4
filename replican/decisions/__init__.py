"""Decisions: pure functions over values. They read trees and checkpoints through small protocols."""
