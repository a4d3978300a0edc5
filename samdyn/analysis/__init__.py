"""What a system or a result means."""
