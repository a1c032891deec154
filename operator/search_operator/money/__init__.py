"""The bill: what was spent, what the month will cost, and how many encoders it allows. Pure; no clock, no I/O."""
