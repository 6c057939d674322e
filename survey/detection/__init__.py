"""From pixels to objects: candidates, their measures, their probability, their outlines and which scene owns them."""
