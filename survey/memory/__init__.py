"""What people verified: labelled objects, the models trained on them, and how well those do."""
