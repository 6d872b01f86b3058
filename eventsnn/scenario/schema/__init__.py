"""What a scenario may say: one file for each part, scenario.py for the whole."""
