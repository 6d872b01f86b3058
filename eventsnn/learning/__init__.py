"""Learning rules, a folder each; what they teach runs in the engines, spike for spike."""
