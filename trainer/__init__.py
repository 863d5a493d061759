"""The training workshop: the digital hip phantom, the networks and the method that trains them."""
