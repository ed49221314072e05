"""What is trained is used: images classified, a network measured, a file for other programs."""
