"""The site's listening sockets, which outlive the workers that serve them."""
