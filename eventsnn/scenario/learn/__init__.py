"""The stage that learns: one file for each rule, learned.py for what they share."""
