"""What is trained is used: pictures classified, a network measured, a file for other programs."""
