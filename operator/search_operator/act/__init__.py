"""The only code that changes the world: it executes a plan's steps."""
