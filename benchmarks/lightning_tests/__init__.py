"""Run Lightning's own tests with Descent's classes in the place of Lightning's, and count what fails only then."""
