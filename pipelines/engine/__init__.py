"""What keeps long jobs safe: the journal of what is done, and the workers that do it."""
