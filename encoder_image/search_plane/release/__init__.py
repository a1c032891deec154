"""What a release is: its encoder's identity, its record, its snapshot. Imported by the operator too, so nothing heavy."""
